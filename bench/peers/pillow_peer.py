"""Pillow, with as many processes as threads. The pixels are those of torchvision's Resize and CenterCrop."""

import glob
import io
import os
import tempfile
import zlib
from multiprocessing import Pool

import numpy
import PIL
from PIL import Image

from common import answer, measure, read_job

CHUNK = 50


def record(path, side):
    image = Image.open(path).convert("RGB")
    width, height = image.size
    size = (side, int(side * height / width)) if width < height else (int(side * width / height), side)
    image = image.resize(size, Image.Resampling.BILINEAR)
    left, top = [int(round((length - side) / 2)) for length in size]
    return image.crop((left, top, left + side, top + side))


def read_chunk(task):
    """Decodes into an array, as a batch; only its checksum, if requested, leaves the process."""
    paths, side, check = task
    batch = numpy.empty((len(paths), side, side, 3), numpy.uint8)
    for n, path in enumerate(paths):
        batch[n] = record(path, side)
    return batch.tobytes() if check else len(batch)


def pack_chunk(task):
    """Writes the chunk's JPEG files one after the other, and flushes them. Returns the last one."""
    paths, side, quality, target = task
    with open(target, "wb") as file:
        for path in paths:
            encoded = io.BytesIO()
            record(path, side).save(encoded, "JPEG", quality=quality)
            file.write(encoded.getbuffer())
        file.flush()
        os.fsync(file.fileno())
    return encoded.getvalue()


def chunks(files):
    return [files[at : at + CHUNK] for at in range(0, len(files), CHUNK)]


if __name__ == "__main__":
    job = read_job()
    files, side = sorted(glob.glob(job["folder"] + "/*/*.jpg")), job["side"]
    with Pool(job["threads"]) as pool, tempfile.TemporaryDirectory() as folder:

        def read(check=False):
            return pool.map(read_chunk, [(part, side, check) for part in chunks(files)], chunksize=1)

        def pack():
            tasks = [(part, side, job["quality"], f"{folder}/{k}") for k, part in enumerate(chunks(files))]
            return pool.map(pack_chunk, tasks, chunksize=1)

        reading = measure(read, job["seconds"])
        crc = 0
        for part in read(check=True):
            crc = zlib.crc32(part, crc)
        packing = measure(pack, job["seconds"])
        packed = Image.open(io.BytesIO(pack()[-1])).convert("RGB")
        difference = numpy.abs(numpy.int16(packed) - numpy.int16(record(files[-1], side))).mean() / 255
        answer(
            f"Pillow {PIL.__version__}",
            [
                {"name": "read", "samples": reading, "error": int(crc != job["crc"])},
                {"name": "pack", "samples": packing, "error": float(difference)},
            ],
        )
