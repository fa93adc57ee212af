"""Writes formats.json: small image files of every kind that Pillow reads, and what Pillow makes of each.

    apt install libjpeg-turbo-progs                       # cjpeg and jpegtran, for what Pillow can't write
    python -m venv venv && venv/bin/pip install -r test/golden/requirements.txt
    venv/bin/python test/golden/formats.py                # two seconds

Each file is turned upright by ImageOps.exif_transpose and, where there is transparency, laid on white by
Image.alpha_composite; sha256 is that of the RGB bytes of the central square, 16 hexadecimal digits of it. It is null
where Pillow refuses the file.

Of PNGs without a palette it is that of the pixels which the standard says, and Pillow has others only where OTHERWISE
says so: from 16 bits of grey it makes 255 of all above 255, where of other 16 bits the upper 8 count; and it compares
the transparent colour (tRNS), which is given as it is stored, with samples already made 8 bits.
"""

import base64
import hashlib
import io
import json
import re
import struct
import subprocess
import warnings
import zlib
from pathlib import Path

import numpy as np
import PIL
from PIL import Image, ImageOps, features
from pillow import smooth

warnings.simplefilter("ignore")
OTHERWISE = re.compile(r"png (0, 16 bits.*|0, [24] bits.* tRNS|2, 16 bits.* tRNS|16 bits, ramp)")
CASES = {}
STANDARD = {}


def add(name, file, standard=None):
    """standard: the image by the file format's standard, if it is known."""
    assert name not in CASES, name
    CASES[name] = bytes(file)
    if standard is not None:
        STANDARD[name] = digest(standard)


def digest(image):
    return hashlib.sha256(image.tobytes()).hexdigest()[:16]


def read(file):
    image = ImageOps.exif_transpose(Image.open(io.BytesIO(file)))
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    side = min(image.size)
    left, top = (int(round((n - side) / 2.0)) for n in image.size)
    return image.convert("RGB").crop((left, top, left + side, top + side))


def expected(name, file):
    try:
        image = read(file)
    except Exception as error:
        return dict(sha256=None, pillow=f"{type(error).__name__}: {error}"[:80])
    found = digest(image)
    right = STANDARD.get(name, found)
    assert (right == found) == (OTHERWISE.fullmatch(name) is None), name
    return dict(side=image.width, sha256=right)


def noise(width, height, channels=3):
    return np.random.default_rng(2012).integers(0, 256, (height, width, channels), np.uint8)


def saved(image, format="JPEG", **options):
    file = io.BytesIO()
    image.save(file, format, **options)
    return file.getvalue()


def program(name, *options, stdin):
    return subprocess.run([name, *options], input=stdin, stdout=subprocess.PIPE, check=True).stdout


# JPEG ----------------------------------------------------------------------------------------------------------------

PICTURE = Image.fromarray(smooth(17, 17))
PPM = saved(PICTURE, "PPM")


def cjpeg(*options, stdin=PPM):
    coding = [] if "-arithmetic" in options else ["-optimize"]
    return program("cjpeg", "-quality", "85", *coding, *options, stdin=stdin)


def segments(jpeg):
    """Of a file: [marker, all its bytes] up to the scan, and the rest."""
    at, found = 2, []
    while jpeg[at + 1] != 0xDA:
        end = at + 2 + int.from_bytes(jpeg[at + 2 : at + 4], "big")
        found.append((jpeg[at + 1], jpeg[at:end]))
        at = end
    return found, jpeg[at:]


def joined(parts, rest):
    return b"\xff\xd8" + b"".join(part for _, part in parts) + rest


def segment(marker, body):
    return bytes([0xFF, marker]) + (len(body) + 2).to_bytes(2, "big") + body


def with_segment(jpeg, body, marker=0xE1, before=0):
    """Before the segment of that number; 0 is the first."""
    parts, rest = segments(jpeg)
    parts.insert(before, (marker, segment(marker, body)))
    return joined(parts, rest)


def without(jpeg, marker):
    parts, rest = segments(jpeg)
    return joined([part for part in parts if part[0] != marker], rest)


def with_transform(jpeg, transform):
    """Adobe's marker says what the colours are: 0 RGB or CMYK, 1 YCbCr, 2 YCCK."""
    return with_segment(without(jpeg, 0xEE), b"Adobe\0\x64\0\0\0\0" + bytes([transform]), 0xEE)


def jpegs():
    samplings = {"4:4:4": "1x1", "4:2:2": "2x1", "4:2:0": "2x2", "4:4:0": "1x2", "4:1:1": "4x1", "4:4:1": "1x4", "4:1:0": "4x2"}
    for name, sampling in samplings.items():
        add(f"jpeg {name}", cjpeg("-sample", sampling))
        add(f"jpeg {name}, progressive", cjpeg("-sample", sampling, "-progressive"))
    add("jpeg 4:2:0, of noise, quality 100", cjpeg("-quality", "100", stdin=saved(Image.fromarray(noise(17, 17)), "PPM")))
    add("jpeg 4:4:4, of noise, quality 1", cjpeg("-quality", "1", "-sample", "1x1", stdin=saved(Image.fromarray(noise(17, 17)), "PPM")))
    add("jpeg grey", cjpeg("-grayscale"))
    add("jpeg grey, progressive", cjpeg("-grayscale", "-progressive"))
    add("jpeg grey, samples 2 × 2", joined(*with_grey_sampling(cjpeg("-grayscale"))))
    for rows in "1", "2B":
        add(f"jpeg restart markers, {rows}", cjpeg("-sample", "2x2", "-restart", rows))
        add(f"jpeg restart markers, {rows}, progressive", cjpeg("-sample", "2x2", "-progressive", "-restart", rows))
    add("jpeg arithmetic", cjpeg("-arithmetic", "-sample", "2x2"))
    add("jpeg arithmetic, progressive", cjpeg("-arithmetic", "-sample", "2x2", "-progressive"))
    for name, lossless in LOSSLESS.items():
        add(name, base64.b64decode(lossless))
    add("jpeg one pixel", cjpeg(stdin=saved(PICTURE.crop((0, 0, 1, 1)), "PPM")))
    # Colours.
    jpeg = cjpeg("-sample", "1x1")
    add("jpeg RGB by cjpeg", cjpeg("-rgb"))
    add("jpeg RGB by Pillow", saved(PICTURE, keep_rgb=True))
    add("jpeg RGB, without Adobe's marker", without(saved(PICTURE, keep_rgb=True), 0xEE))
    for transform in 0, 1, 2:
        add(f"jpeg JFIF and Adobe's marker, {transform}", with_transform(jpeg, transform))
        add(f"jpeg Adobe's marker alone, {transform}", with_transform(without(jpeg, 0xE0), transform))
    add("jpeg neither JFIF nor Adobe's marker", without(jpeg, 0xE0))
    cmyk = saved(Image.fromarray(np.dstack([smooth(17, 17), smooth(17, 17)[..., :1]]), "CMYK"))
    add("jpeg CMYK", cmyk)
    add("jpeg CMYK, progressive", program("jpegtran", "-copy", "all", "-progressive", stdin=cmyk))
    add("jpeg CMYK, without Adobe's marker", without(cmyk, 0xEE))
    add("jpeg YCCK", with_transform(cmyk, 2))
    add("jpeg CMYK, Adobe's marker 1", with_transform(cmyk, 1))
    # What stands between segments, and behind the end.
    small = cjpeg("-grayscale")
    parts, rest = segments(small)
    for name, stray in dict(fill=b"\xff\xff", stray=b"stray", zeros=b"\0\0", stuffed=b"\xff\0").items():
        between = b"\xff\xd8" + stray.join(part for _, part in parts)
        add(f"jpeg {name} bytes between segments", between + rest)
        add(f"jpeg {name} bytes before the scan", joined(parts, stray + rest))
        add(f"jpeg {name} bytes before the end", small[:-2] + stray + small[-2:])
        add(f"jpeg {name} bytes behind the end", small + stray)
    add("jpeg without an end", small[:-2])
    add("jpeg half a scan", small[:-20])
    add("jpeg half a scan, and an end", small[:-20] + small[-2:])
    add("jpeg half a scan, and another image", small[:-20] + small)
    add("jpeg half a scan, and a thumbnail before", with_segment(small, b"Exif\0\0" + small)[:-20])
    add("jpeg two images", small + cjpeg("-grayscale", "-quality", "50"))
    mpo = io.BytesIO()
    PICTURE.save(mpo, "MPO", save_all=True, append_images=[Image.fromarray(noise(17, 17))], quality=60)
    mpo = mpo.getvalue()
    second = mpo.index(b"\xff\xd8\xff", 2)
    add("mpo", mpo)
    add("mpo, its second image cut short", mpo[:-20])
    add("mpo, its first image cut short", mpo[: second - 20] + mpo[second:])
    add("mpo, its second image missing", mpo[:second])
    add("jpeg a comment", with_segment(small, b"\xff\xd9 an end in a comment", 0xFE))


def with_grey_sampling(jpeg):
    parts, rest = segments(jpeg)
    frame = lambda part: part[:-2] + b"\x22" + part[-1:]
    return [(marker, frame(part) if marker == 0xC0 else part) for marker, part in parts], rest


# 17 × 17 pixels by libjpeg-turbo 3.1.3 with TJPARAM_LOSSLESS, which cjpeg has from 3.0 on.
LOSSLESS = {
    "jpeg lossless": (
        "/9j/7gAOQWRvYmUAZAAAAAAA/8MAEQgAEQARA1IRAEcRAEIRAP/EABkAAAMBAQEAAAAAAAAAAAAAAAIDBAEAB//aAAwDUgBHAEIAAQAA72T2"
        "21yrWptYiw0WbPX01WTUjK8JXrkamRiZTnk6eTpZBll7stcq1qbDTac9ez17PVktIzPXI9crUyMTKU8mzydNIMsvDljlWtTYabDnr2evp6em"
        "pCV4SvXK1UhokNEuzyZNKMsnANjlWMTWxNZIrKerpqcmoGZ4SuXK1MrEyEiXZ5MmlGaXlrrautia2JqJFRIp6ajJ6BmcErlysVKxMpIl5EvT"
        "SjNLyQqaqlqqjTSSKdRT07+neMzgmauVi5jTLqZdnl5EwzS8lVDV0mqg00Eigkv6d+TtGdwzMXMa5jVNqZdRNyJhnm6dL2rea3mlxJfqXchu"
        "TtydgTsCclzGubUz8mbkzYifp0tYtprcSmklupZyWchgoMZzCcgnJc+qn5U/JnxE/TIMwYa2Eo9UeqPknyDxJCggn0EaCNXPykcqflI6VGms"
        "iAiWWq3VFytxJYncToo4E6KOWnVoxaOWnpZsIeIO1favuX3K7ldiuxPYnhVwp4E8CeBPArpJxIR0B0B5Y6GcscVnLzFZisxXCrMVwq4FaKuk"
        "mXor0V8AcAaAcAYAcseWOLzl5i8xfYvsVwr6SZPCnhVwq4VcK+BXCHAvgHgHljwZwdwdwbgdJLPmI7EYKexHCnhVwq4V6K+ENEeHNHtDtHdH"
        "pJZs6bMnzJ8yfsR2I7E9itxe4GiBYO5xZxCRZ//Z"
    ),
    "jpeg lossless, grey": (
        "/9j/4AAQSkZJRgABAQAAAQABAAD/wwALCAARABEBAREA/8QAGAAAAwEBAAAAAAAAAAAAAAAAAAIDBAH/2gAIAQEAAQAANu3bs2a9Wm960cFN"
        "u3Zt169Wm960bops27NmvXp03vV37xTZs169erTovatG7xTXr16tWnRotalGBTVp1adOm97Vo/eimjTo0aL3rajv3ope97XtWtKM/Q4Vrata"
        "Uo7s3Q4PSju7uzd70A6zN1ut3p07wOAAAAACqqrxec5w4HSc5oiIirznACMZSlOSTVV4HTPCEYRlKc0XgdM2bPnzwhGU0RQb/9k="
    ),
}


# EXIF ----------------------------------------------------------------------------------------------------------------


def tiff(*entries, order="MM", magic=42, after=b"", following=()):
    """(tag, type, count, four bytes or a number) each; `following`: a second directory."""
    pack = lambda form, *values: struct.pack((">" if order == "MM" else "<") + form, *values)

    def directory(entries, then):
        value = lambda kind, v: v if isinstance(v, bytes) else pack({1: "Bxxx", 3: "Hxx", 6: "bxxx", 8: "hxx", 9: "i", 11: "f"}.get(kind, "I"), v)
        body = b"".join(pack("HHI", tag, kind, count) + value(kind, v) for tag, kind, count, v in entries)
        return pack("H", len(entries)) + body + pack("I", then)

    at = 8 + 2 + 12 * len(entries) + 4
    first = directory(entries, at if following else 0)
    return order.encode() + pack("HI", magic, 8) + first + (directory(following, 0) if following else b"") + after


def orientation(value, kind=3, count=1, **options):
    return tiff((0x0112, kind, count, value), **options)


def xmp(value, attribute=True):
    tag = f'tiff:Orientation="{value}"/>' if attribute else f"><tiff:Orientation>{value}</tiff:Orientation></rdf:Description>"
    return f'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF><rdf:Description {tag}</rdf:RDF></x:xmpmeta>'.encode()


EXIF = b"Exif\0\0"
XMP = b"http://ns.adobe.com/xap/1.0/\0"


def exifs():
    other = (0x0131, 2, 2, b"a\0\0\0")
    directory_end = 8 + 2 + 12 + 4
    found = {}
    for order in "MM", "II":
        for value in range(0, 10):
            found[f"{value}, {order}"] = orientation(value, order=order)
        found[f"LONG, {order}"] = orientation(6, 4, order=order)
        found[f"in the second directory, {order}"] = tiff(other, order=order, following=[(0x0112, 3, 1, 6)])
        found[f"behind another tag, {order}"] = tiff(other, (0x0112, 3, 1, 6), order=order)
        found[f"wrong magic number, {order}"] = orientation(6, order=order, magic=7)
    for name, kind, value in [("BYTE", 1, 6), ("SBYTE", 6, 6), ("SSHORT", 8, 6), ("SLONG", 9, 6), ("FLOAT", 11, 6.0), ("ASCII", 2, b"6\0\0\0"), ("UNDEFINED", 7, b"\6\0\0\0"), ("no type", 99, 6)]:
        found[name] = orientation(value, kind)
    found["RATIONAL"] = orientation(directory_end, 5, after=struct.pack(">II", 6, 1))
    found["RATIONAL 13/2"] = orientation(directory_end, 5, after=struct.pack(">II", 13, 2))
    found["RATIONAL 6/0"] = orientation(directory_end, 5, after=struct.pack(">II", 6, 0))
    found["DOUBLE"] = orientation(directory_end, 12, after=struct.pack(">d", 6))
    found["negative"] = orientation(-6, 9)
    found["LONG, large"] = orientation(0x60006, 4)
    found["no value"] = orientation(6, count=0)
    found["no value, then one"] = tiff((0x0112, 3, 0, 3), (0x0112, 3, 1, 6))
    found["two values"] = orientation(b"\0\6\0\3", count=2)
    found["three values elsewhere"] = orientation(directory_end, 3, 3, after=struct.pack(">HHH", 6, 3, 3))
    found["three values beyond the end"] = orientation(9999, 3, 3)
    found["a count of 4,294,967,295"] = orientation(6, count=0xFFFFFFFF)
    found["twice"] = tiff((0x0112, 3, 1, 6), (0x0112, 3, 1, 3))
    found["more entries than there are"] = orientation(6)[:8] + b"\xff\xff" + orientation(6)[10:]
    found["a directory beyond the end"] = orientation(6)[:4] + b"\0\0\x7f\xff" + orientation(6)[8:]
    found["cut short in the entry"] = orientation(6)[:20]
    found["cut short behind the entry"] = orientation(6)[:22]
    found["a header alone"] = orientation(6)[:8]
    found["half a header"] = orientation(6)[:5]
    found["nothing"] = b""
    found["text"] = b"this is no EXIF data"
    found["its prefix twice"] = EXIF + orientation(6)
    jpeg = cjpeg("-grayscale", stdin=saved(Image.fromarray(smooth(24, 16)).crop((0, 0, 21, 13)), "PPM"))
    for name, exif in found.items():
        add(f"exif {name}", with_segment(jpeg, EXIF + exif))
    add("exif behind other segments", with_segment(jpeg, EXIF + orientation(6), before=4))
    add("exif behind the frame", with_segment(jpeg, EXIF + orientation(6), before=len(segments(jpeg)[0])))
    add("exif behind the scan", jpeg[:-2] + segment(0xE1, EXIF + orientation(6)) + jpeg[-2:])
    add("exif twice, 6 and 3", with_segment(with_segment(jpeg, EXIF + orientation(3)), EXIF + orientation(6)))
    add("exif twice, nothing and 6", with_segment(with_segment(jpeg, EXIF + orientation(6)), EXIF))
    add("exif twice, without and 6", with_segment(with_segment(jpeg, EXIF + orientation(6)), EXIF + tiff(other)))
    halves = orientation(6)[:14], orientation(6)[14:]
    add("exif in two segments", with_segment(with_segment(jpeg, EXIF + halves[1]), EXIF + halves[0]))
    for attribute in True, False:
        add(f"xmp {'attribute' if attribute else 'element'}", with_segment(jpeg, XMP + xmp(6, attribute)))
    add("xmp 9", with_segment(jpeg, XMP + xmp(9)))
    add("xmp twice, 3 and 6", with_segment(with_segment(jpeg, XMP + xmp(6)), XMP + xmp(3)))
    add("xmp 3 and exif 6", with_segment(with_segment(jpeg, EXIF + orientation(6)), XMP + xmp(3)))
    add("xmp 3 and exif 1", with_segment(with_segment(jpeg, EXIF + orientation(1)), XMP + xmp(3)))
    add("xmp 3 and exif 0", with_segment(with_segment(jpeg, EXIF + orientation(0)), XMP + xmp(3)))
    add("xmp 3 and exif without", with_segment(with_segment(jpeg, EXIF + tiff(other)), XMP + xmp(3)))


# PNG -----------------------------------------------------------------------------------------------------------------


def chunk(name, body):
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


ADAM7 = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)]


def png(colour, depth, samples, interlaced=False, before=b"", after=b"", end=b""):
    """samples: height × width × channels."""

    def lines(part):
        if 0 in part.shape:
            return b""
        flat = part.reshape(part.shape[0], -1)
        if depth == 16:
            rows = flat.astype(">u2").view(np.uint8)
        else:
            bits = (flat[..., None] >> np.arange(depth - 1, -1, -1)) & 1
            rows = np.packbits(bits.reshape(len(flat), -1).astype(np.uint8), axis=1)
        return b"".join(b"\0" + row.tobytes() for row in rows)

    height, width = samples.shape[:2]
    passes = ADAM7 if interlaced else [(0, 0, 1, 1)]
    data = b"".join(lines(samples[y::dy, x::dx]) for x, y, dx, dy in passes)
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, int(interlaced))
    chunks = chunk(b"IHDR", header) + before + chunk(b"IDAT", zlib.compress(data, 9)) + after + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + chunks + end


def standard_png(colour, depth, samples, key=None):
    """Grey or RGB by the standard; the colour `key` is transparent, and so white."""
    if colour not in (0, 2):
        return None
    values = samples >> 8 if depth == 16 else samples * 255 // ((1 << depth) - 1)
    hidden = np.zeros(samples.shape[:2], bool) if key is None else (samples == key).all(axis=2)
    rgb = np.where(hidden[..., None], 255, np.broadcast_to(values, (*samples.shape[:2], 3)))
    return Image.fromarray(rgb.astype(np.uint8))


def pngs():
    side = 9
    y, x, c = np.ogrid[:side, :side, :4]
    base = (x * 7000 + y * 6100 + c * 21000) & 0xFFFF
    for colour, channels, depths in (0, 1, (1, 2, 4, 8, 16)), (2, 3, (8, 16)), (3, 1, (1, 2, 4, 8)), (4, 2, (8, 16)), (6, 4, (8, 16)):
        for depth in depths:
            samples = base[..., :channels] >> (16 - depth)
            palette = chunk(b"PLTE", bytes((37 * i + 90 * k) & 255 for i in range(1 << depth) for k in range(3))) if colour == 3 else b""
            key = samples[3, 3, :channels]
            trns = {
                0: struct.pack(">H", int(key[0])),
                2: struct.pack(">HHH", *(int(v) for v in (*key, 0, 0)[:3])),
                3: bytes((50 * i) & 255 for i in range((1 << depth) - 1)),
            }
            for interlaced in False, True:
                name = f"png {colour}, {depth} bits{', interlaced' if interlaced else ''}"
                add(name, png(colour, depth, samples, interlaced, palette), standard_png(colour, depth, samples))
                if colour in trns:
                    keyed = png(colour, depth, samples, interlaced, palette + chunk(b"tRNS", trns[colour]))
                    add(f"{name}, tRNS", keyed, standard_png(colour, depth, samples, key))
    palette = chunk(b"PLTE", bytes(range(30, 60)))
    one = lambda *alpha: palette + chunk(b"tRNS", bytes(alpha))
    index = (base[..., :1] >> 4) % 10
    add("png palette with one transparent colour", png(3, 8, index, before=one(255, 0)))
    add("png palette, all of it opaque", png(3, 8, index, before=one(255, 255)))
    add("png palette too short", png(3, 8, index, before=chunk(b"PLTE", bytes(range(30, 45)))))
    add("png palette missing", png(3, 8, index))
    add("png key of grey, not there", png(0, 8, base[..., :1] >> 8, before=chunk(b"tRNS", b"\0\x01")))
    add("png key of grey, a high byte", png(0, 8, base[..., :1] >> 8, before=chunk(b"tRNS", struct.pack(">H", 0x100 + int(base[3, 3, 0] >> 8)))))
    ramp = (np.arange(4096) * 16 + 5).reshape(64, 64, 1)
    add("png 16 bits, ramp", saved(Image.fromarray(ramp[..., 0].astype(np.uint16)), "PNG"), standard_png(0, 16, ramp))
    low = np.broadcast_to((0x7F80 + np.arange(256).reshape(16, 16))[..., None], (16, 16, 3))
    add("png RGB 16 bits, low bytes", png(2, 16, low), standard_png(2, 16, low))
    every = np.stack(np.meshgrid(range(256), range(256), indexing="ij"), axis=2).astype(np.uint8)
    add("png every grey with every alpha", saved(Image.fromarray(every, "LA"), "PNG", optimize=True))
    rgb = base[..., :3][:7] >> 8
    for name, place in ("before", "before"), ("after", "after"):
        add(f"png eXIf {name} IDAT", png(2, 8, rgb, **{place: chunk(b"eXIf", orientation(6))}))
        add(f"png XMP {name} IDAT", png(2, 8, rgb, **{place: chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + xmp(6))}))
    add("png eXIf with JPEG's prefix", png(2, 8, rgb, before=chunk(b"eXIf", EXIF + orientation(6))))
    add("png eXIf twice", png(2, 8, rgb, before=chunk(b"eXIf", orientation(3)) + chunk(b"eXIf", orientation(6))))
    add("png eXIf 6 and XMP 3", png(2, 8, rgb, before=chunk(b"eXIf", orientation(6)) + chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + xmp(3))))
    add("png XMP, compressed", png(2, 8, rgb, before=chunk(b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + zlib.compress(xmp(6)))))
    add("png XMP, compressed, with a language", png(2, 8, rgb, before=chunk(b"iTXt", b"XML:com.adobe.xmp\0\1\0en\0key\0" + zlib.compress(xmp(6)))))
    add("png XMP in tEXt", png(2, 8, rgb, before=chunk(b"tEXt", b"XML:com.adobe.xmp\0" + xmp(6))))
    add("png XMP in zTXt", png(2, 8, rgb, before=chunk(b"zTXt", b"XML:com.adobe.xmp\0\0" + zlib.compress(xmp(6)))))
    profile = f"\nexif\n{len(EXIF + orientation(6)):8}\n{(EXIF + orientation(6)).hex()}\n".encode()
    add("png raw profile in zTXt", png(2, 8, rgb, before=chunk(b"zTXt", b"Raw profile type exif\0\0" + zlib.compress(profile))))
    add("png raw profile in tEXt", png(2, 8, rgb, before=chunk(b"tEXt", b"Raw profile type exif\0" + profile)))
    add("png bytes behind the end", png(2, 8, rgb, end=b"stray"))
    add("png gamma", png(2, 8, rgb, before=chunk(b"gAMA", struct.pack(">I", 100000))))
    frames = [Image.fromarray(noise(9, 9, 4), "RGBA"), Image.fromarray(255 - noise(9, 9, 4), "RGBA")]
    add("apng", saved(frames[0], "PNG", save_all=True, append_images=frames[1:]))
    add("apng, its first image apart", saved(frames[0], "PNG", save_all=True, append_images=frames[1:], default_image=True))


# WebP ----------------------------------------------------------------------------------------------------------------


def webps():
    picture = Image.fromarray(smooth(24, 18))
    alpha = Image.fromarray(np.dstack([smooth(17, 17), smooth(17, 17)[..., 1]]), "RGBA")
    square = Image.fromarray(smooth(17, 17))
    for name, options in {"lossless": dict(lossless=True), "lossy": dict(quality=85), "lossy, quality 10": dict(quality=10)}.items():
        add(f"webp {name}", saved(square, "WEBP", **options))
        add(f"webp {name}, of noise", saved(Image.fromarray(noise(17, 17)), "WEBP", **options))
        add(f"webp {name}, transparent", saved(alpha, "WEBP", **options))
        add(f"webp {name}, transparent, exact", saved(alpha, "WEBP", exact=True, **options))
        add(f"webp {name}, grey", saved(square.convert("L"), "WEBP", **options))
        add(f"webp {name}, animated", saved(square, "WEBP", save_all=True, append_images=[Image.fromarray(noise(17, 17))], **options))
        add(f"webp {name}, animated, transparent", saved(alpha, "WEBP", save_all=True, append_images=[square.convert("RGBA")], **options))
        add(f"webp {name}, EXIF", saved(picture, "WEBP", exif=orientation(6), **options))
        add(f"webp {name}, EXIF with JPEG's prefix", saved(picture, "WEBP", exif=EXIF + orientation(6), **options))
        add(f"webp {name}, XMP", saved(picture, "WEBP", xmp=xmp(6), **options))
        add(f"webp {name}, one frame of an animation", animation(saved(square, "WEBP", **options)))
        add(f"webp {name}, one transparent frame", animation(saved(alpha, "WEBP", **options)))
        add(f"webp {name}, a frame smaller than the animation", animation(saved(square, "WEBP", **options), 6, 2))


def animation(webp, x=0, y=0):
    """Of one frame, which is this image of 17 × 17 at (x, y), laid on what is there (a transparent canvas)."""
    piece = lambda name, body: name + struct.pack("<I", len(body)) + body
    u24 = lambda n: n.to_bytes(3, "little")
    bitstream = webp[30:] if webp[12:16] == b"VP8X" else webp[12:]
    frame = u24(x // 2) + u24(y // 2) + u24(17 - 1) * 2 + u24(100) + b"\0" + bitstream
    canvas = b"\x12\0\0\0" + u24(17 + x + (4 if x else 0) - 1) + u24(17 + 2 * y - 1)
    chunks = piece(b"VP8X", canvas) + piece(b"ANIM", b"\x40\x80\xc0\xff\0\0") + piece(b"ANMF", frame)
    return piece(b"RIFF", b"WEBP" + chunks)


def main():
    jpegs()
    exifs()
    pngs()
    webps()
    libraries = {name: features.version(name) for name in ("libjpeg_turbo", "webp", "zlib")}
    files = [dict(name=name, **expected(name, file), file=base64.b64encode(file).decode()) for name, file in CASES.items()]
    path = Path(__file__).with_name("formats.json")
    lines = ",\n".join(" " + json.dumps(file, ensure_ascii=False) for file in files)
    made_with = json.dumps(dict(pillow=PIL.__version__, **libraries, numpy=np.__version__))
    path.write_text(f'{{"made_with": {made_with}, "files": [\n{lines}\n]}}\n')
    print(path.name, len(files), "files", path.stat().st_size, "bytes", sum(f["sha256"] is None for f in files), "refused")


if __name__ == "__main__":
    main()
