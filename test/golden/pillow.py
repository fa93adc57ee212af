"""Writes pillow.json: what Pillow and NumPy make of images that the tests draw by the same formula.

    python -m venv venv && venv/bin/pip install -r test/golden/requirements.txt
    venv/bin/python test/golden/pillow.py                 # a second

    resized       images as torchvision's Resize(shorter) and CenterCrop(side) make them, which are Pillow's bilinear or
                  bicubic `resize` and a crop (torchvision/transforms/functional.py), as the SHA-256 of their RGB bytes. First
                  along the rows, then along the columns, as Pillow did it until 12; from 13 on it exchanges the two for
                  some images, among them those more than twice as high as wide, and is then off by one at places.
    files         JPEG files, decoded by Pillow's libjpeg-turbo, resized as above
    orientations  the first of these with EXIF orientations 1 to 8, turned by ImageOps.exif_transpose before that
    statistics    of a few images in float64: mean image, channel mean, population covariance of the colours of all
                  pixels, its eigenvalues and eigenvectors
"""

import base64
import hashlib
import io
import json
from pathlib import Path

import numpy as np
import PIL
from PIL import Image, ImageOps, features

SIZES = [  # width, height, shorter, side
    (500, 375, 256, 256),
    (375, 500, 256, 256),
    (64, 48, 256, 256),
    (333, 777, 227, 227),
    (257, 256, 256, 256),
    (256, 256, 256, 256),
    (1000, 37, 32, 32),
    (31, 31, 24, 24),
    (3, 2, 8, 8),
    (1, 5, 4, 4),
    (500, 375, 256, 224),
    (375, 501, 257, 224),
]
FILES = {  # width, height, and how it is saved
    "4:2:0": ("RGB", 61, 43, dict(subsampling=2)),
    "grey": ("L", 50, 67, dict()),
    "4:4:4, odd": ("RGB", 47, 33, dict(subsampling=0)),
    "4:2:2": ("RGB", 53, 40, dict(subsampling=1)),
    "progressive": ("RGB", 64, 71, dict(progressive=True, subsampling=2)),
}
FILTERS = dict(bilinear=Image.BILINEAR, bicubic=Image.BICUBIC)
RECORDS = [(32, 32), (24, 24), (48, 40)]  # shorter, side
STATISTICS = dict(images=20, side=12)


def draw(width, height, number=0):
    """test/support/golden_pictures.ts draws the same."""
    y, x, c = np.ogrid[:height, :width, :3]
    return ((((x * (7 + 4 * c) + y * (13 - 3 * c)) ^ ((x * y) >> 3)) + number * (29 + 5 * c)) & 255).astype(np.uint8)


def smooth(width, height):
    """What JPEG is made for; only the file is read by the tests, so that any picture does."""
    y, x, c = np.ogrid[:height, :width, :3]
    return np.rint(127.5 + 120 * np.sin(x / (9 + c) + c) * np.cos(y / (7 + 2 * c))).astype(np.uint8)


def record(image, shorter, side, resize="bilinear"):
    """As torchvision computes the sizes and the place of the crop; Python's round goes to the even number."""
    width, height = image.size
    longer = int(shorter * max(width, height) / min(width, height))
    size = (shorter, longer) if width < height else (longer, shorter)
    kind = FILTERS[resize]
    at_once = image.resize(size, kind)
    image = image.resize((size[0], height), kind).resize(size, kind)
    assert resize == "bicubic" or np.abs(np.asarray(image, np.int16) - np.asarray(at_once, np.int16)).max() <= 1
    left, top = (int(round((n - side) / 2.0)) for n in image.size)
    return image.crop((left, top, left + side, top + side))


def digest(image):
    return hashlib.sha256(np.asarray(image.convert("RGB")).tobytes()).hexdigest()


def with_orientation(jpeg, orientation):
    """An EXIF segment with nothing else, before all others."""
    entry = bytes([0x01, 0x12, 0, 3, 0, 0, 0, 1, 0, orientation, 0, 0])
    body = b"Exif\0\0MM\0*\0\0\0\x08\0\x01" + entry + bytes(4)
    return jpeg[:2] + b"\xff\xe1" + (len(body) + 2).to_bytes(2, "big") + body + jpeg[2:]


def made_file(mode, width, height, options):
    file = io.BytesIO()
    Image.fromarray(smooth(width, height)).convert(mode).save(file, "JPEG", quality=85, **options)
    return file.getvalue()


def records(jpeg):
    image = ImageOps.exif_transpose(Image.open(io.BytesIO(jpeg))).convert("RGB")
    return [dict(shorter=s, side=n, sha256=digest(record(image, s, n))) for s, n in RECORDS]


def statistics(images, side):
    pixels = np.stack([draw(side, side, k) for k in range(images)]).astype(np.float64)
    colours = pixels.reshape(-1, 3)
    covariance = np.cov(colours.T, bias=True)
    values, vectors = np.linalg.eigh(covariance)
    return dict(
        mean=pixels.mean(axis=0).flatten().tolist(),
        channelMean=colours.mean(axis=0).tolist(),
        covariance=covariance.flatten().tolist(),
        values=values[::-1].tolist(),
        vectors=vectors.T[::-1].tolist(),
    )


def main():
    files = {name: made_file(*how) for name, how in FILES.items()}
    first = next(iter(files.values()))
    golden = dict(
        made_with=dict(pillow=PIL.__version__, libjpeg_turbo=features.version("libjpeg_turbo"), numpy=np.__version__),
        resized=[
            dict(width=w, height=h, shorter=s, side=n, resize=f, sha256=digest(record(Image.fromarray(draw(w, h)), s, n, f)))
            for f in FILTERS
            for w, h, s, n in SIZES
        ],
        files={name: dict(base64=base64.b64encode(f).decode(), records=records(f)) for name, f in files.items()},
        orientations=[records(with_orientation(first, k)) for k in range(1, 9)],
        statistics=STATISTICS | statistics(**STATISTICS),
    )
    path = Path(__file__).with_name("pillow.json")
    path.write_text(json.dumps(golden, indent=1) + "\n")
    print(path.name, json.dumps(golden["made_with"]))


if __name__ == "__main__":
    main()
