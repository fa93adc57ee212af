"""Imports and exports against PyTorch and onnxruntime on real photos, by hand: nothing of it runs in the tests.

    python -m venv venv && venv/bin/pip install -r test/golden/requirements.txt onnxruntime pillow
    venv/bin/python test/golden/photos.py FOLDER          # of photos; two minutes, 3 GB of memory

For each network: random weights are saved by torch.save, imported, exported as ONNX with and without softmax, and used
by `predict`. Printed is the largest distance of logits (for `predict`, of logarithms of probabilities) from PyTorch's,
and whether the five most probable classes of every photo are the same. PyTorch normalises by itself, so that what the
import folded into conv1 is part of what is compared.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import onnxruntime
import torch
import torch.nn.functional as F
from PIL import Image, ImageOps

from make_golden import alexnet, alexnet_2012, alexnet_owt, lrn, map_norm, paper_head, pool
from pillow import record

ROOT = Path(__file__).parents[2]
PHOTOS, BATCH = 48, 16
TORCHVISION = ([123.675, 116.28, 103.53], [58.395, 57.12, 57.375])  # mean, deviation
PLAIN = ([123.0, 117.0, 104.0], [1.0, 1.0, 1.0])


def conv(x, p, name, **options):
    return F.conv2d(x, p[f"{name}.weight"], p[f"{name}.bias"], **options)


def caffe_alexnet(x, p, _):
    def norm(x):
        return F.local_response_norm(x, 5, alpha=1e-4, beta=0.75, k=1.0)

    x = pool(norm(F.relu(conv(x, p, "conv1", stride=4))))
    x = pool(norm(F.relu(conv(x, p, "conv2", padding=2, groups=2))))
    x = F.relu(conv(x, p, "conv3", padding=1))
    x = F.relu(conv(x, p, "conv4", padding=1, groups=2))
    return paper_head(pool(F.relu(conv(x, p, "conv5", padding=1, groups=2))), p, None)


def same_map_norm(x):
    return x * (1 + 5e-5 / 9 * F.avg_pool2d(x * x, 3, stride=1, padding=1, count_include_pad=True) * 9) ** -0.75


def average(x):
    return F.avg_pool2d(x, 3, 2, ceil_mode=True, count_include_pad=False)


def cifar18(x, p, _):
    x = same_map_norm(F.relu(F.max_pool2d(conv(x, p, "conv1", padding=2), 3, 2, ceil_mode=True)))
    x = same_map_norm(average(F.relu(conv(x, p, "conv2", padding=2))))
    x = average(F.relu(conv(x, p, "conv3", padding=2)))
    return F.linear(x.flatten(1), p["fc10.weight"], p["fc10.bias"])


def cifar13(x, p, _):
    def local(x, name):
        w, b = p[f"{name}.weight"], p[f"{name}.bias"]
        patches = F.unfold(x, 3, padding=1)
        filters = w.reshape(w.shape[0], w.shape[1] * w.shape[2], -1)
        return F.relu((torch.einsum("nkp,opk->nop", patches, filters)).reshape(-1, *w.shape[:3]) + b)

    x = F.max_pool2d(F.relu(conv(x, p, "conv1", padding=2)), 3, 2, ceil_mode=True)
    x = F.max_pool2d(F.relu(conv(x, p, "conv2", padding=2)), 3, 2, ceil_mode=True)
    return F.linear(local(local(x, "local3"), "local4").flatten(1), p["fc10.weight"], p["fc10.bias"])


PAPER = {"conv1": (96, 3, 11, 11), "conv2": (256, 48, 5, 5), "conv3": (384, 256, 3, 3), "conv4": (384, 192, 3, 3),
         "conv5": (256, 192, 3, 3), "fc6": (4096, 9216), "fc7": (4096, 4096), "fc8": (1000, 4096)}
OWT = {"features.0": (64, 3, 11, 11), "features.3": (192, 64, 5, 5), "features.6": (384, 192, 3, 3),
       "features.8": (256, 384, 3, 3), "features.10": (256, 256, 3, 3), "classifier.1": (4096, 9216),
       "classifier.4": (4096, 4096), "classifier.6": (1000, 4096)}
CIFAR18 = {"conv1": (32, 3, 5, 5), "conv2": (32, 32, 5, 5), "conv3": (64, 32, 5, 5), "fc10": (10, 1024)}
CIFAR13 = {"conv1": (64, 3, 5, 5), "conv2": (64, 64, 5, 5), "local3": (32, 6, 6, 64, 3, 3),
           "local4": (32, 6, 6, 32, 3, 3), "fc10": (10, 1152)}
NETWORKS = {  # function, shapes, record, crop, mean and deviation
    "alexnet-owt": (alexnet_owt, OWT, 256, 224, TORCHVISION),
    "alexnet": (alexnet, PAPER, 256, 227, PLAIN),
    "alexnet-2012": (alexnet_2012, PAPER, 256, 227, PLAIN),
    "caffe-alexnet": (caffe_alexnet, PAPER, 256, 227, PLAIN),
    "cifar10-18pct": (cifar18, CIFAR18, 32, 32, PLAIN),
    "cifar10-13pct": (cifar13, CIFAR13, 32, 24, PLAIN),
}


def weights(shapes, deviation):
    generator = torch.Generator().manual_seed(2012)
    state = {}
    for i, (name, shape) in enumerate(shapes.items()):
        outputs = shape[:3] if len(shape) == 6 else shape[:1]
        fan_in = np.prod(shape[len(outputs):])
        gain = 1 / 60 if i == 0 and deviation[0] == 1 else 1
        state[f"{name}.weight"] = torch.randn(shape, generator=generator) * (2 / fan_in) ** 0.5 * gain
        state[f"{name}.bias"] = torch.randn(outputs, generator=generator) * 0.1
    return state


def bun(*args):
    said = subprocess.run(["bun", ROOT / "src/main.ts", *args], check=True, capture_output=True, text=True)
    return said.stdout


def pixels(path, side, crop):
    image = ImageOps.exif_transpose(Image.open(path)).convert("RGB")
    start = (side - crop) // 2
    cut = np.asarray(record(image, side, side))[start : start + crop, start : start + crop]
    return cut.transpose(2, 0, 1).astype(np.float32)


def compare(name, photos, folder):
    network, shapes, side, crop, (mean, deviation) = NETWORKS[name]
    state = weights(shapes, deviation)
    file, run = folder / f"{name}.pth", folder / name
    torch.save({"epoch": 3, "state_dict": {f"module.{key}": value for key, value in state.items()}}, file)
    how = [] if deviation[0] != 1 else ["--pixels", "255", "--mean", ",".join(map(str, mean))]
    bun("import", file, "--model", name, "--out", run, *how)
    for kind, option in (("logits", ["--logits"]), ("probabilities", [])):
        bun("export", run, "--as", "onnx", "--out", folder / f"{kind}.onnx", *option)
    lines = bun("predict", *photos, "--model", run, "--top", "1000", "--json", "--device", "cpu").splitlines()
    said = [json.loads(line) for line in lines if '"classes"' in line]
    classes = [line.strip() for line in (folder / "logits.classes.txt").read_text().splitlines()]
    order = {text: k for k, text in enumerate(classes)}
    ours = np.zeros((len(photos), len(classes)))
    for row, prediction in zip(ours, said, strict=True):
        for each in prediction["classes"]:
            row[order[each["name"].strip()]] = np.log(each["probability"])
    x = np.stack([pixels(path, side, crop) for path in photos])
    m, d = (torch.tensor(v).reshape(1, 3, 1, 1) for v in (mean, deviation))
    with torch.no_grad():
        logits = torch.cat([network((part - m) / d, state, None) for part in torch.from_numpy(x).split(BATCH)])
    sessions = [onnxruntime.InferenceSession(folder / f"{kind}.onnx") for kind in ("logits", "probabilities")]
    theirs = [np.concatenate([s.run(None, {"image": part})[0] for part in (x[:1], x[1:])]) for s in sessions]
    wanted, log_p = logits.numpy(), logits.log_softmax(1).numpy()
    top = [np.argsort(-v, axis=1)[:, :5] for v in (wanted, ours, theirs[0])]
    print(
        f"{name:14} logits up to {np.abs(wanted).max():.1f}; predict off by {np.abs(ours - log_p).max():.1e}, "
        f"onnxruntime by {np.abs(theirs[0] - wanted).max():.1e}, its probabilities by "
        f"{np.abs(theirs[1] - np.exp(log_p)).max():.1e}; same five classes: predict "
        f"{(top[1] == top[0]).all(axis=1).sum()}, onnxruntime {(top[2] == top[0]).all(axis=1).sum()} of {len(photos)}"
    )


def main():
    torch.set_num_threads(2)
    photos = sorted(path for path in Path(sys.argv[1]).rglob("*") if path.suffix.lower() in (".jpeg", ".jpg"))[:PHOTOS]
    for name in sys.argv[2:] or NETWORKS:
        with tempfile.TemporaryDirectory() as folder:
            compare(name, photos, Path(folder))


if __name__ == "__main__":
    main()
