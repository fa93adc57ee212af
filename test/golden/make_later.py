"""Writes the golden files of the networks from after 2012: what PyTorch, in float64 on the CPU, makes of torchvision's
networks, of PyPI's efficientnet-lite-pytorch and of airbench94, which is written out here.

    venv/bin/pip install torchvision==0.29.2 efficientnet-lite-pytorch==0.1.0    # beside requirements.txt
    venv/bin/python test/golden/make_later.py                                    # a minute; or names of networks

As in make_golden.py, images, weights and dropout masks come from Threefry-2x32. A file holds, for a batch of four small
images and ten classes:

    state_dict  the names and shapes of the whole network, with its own input and 1,000 classes
    logits      K x N, in evaluation form, with running statistics that are drawn like the weights
    loss        of a step of training, with dropout
    gradients   of that step: for every learnt parameter its norm, and elements drawn at random
    statistics  the same of the running statistics after that step
    float32     how far PyTorch's own float32 run strays from the above: what a tolerance has to allow
"""

import copy
import json
import math
import sys
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
import torchvision
from efficientnet_lite_pytorch import EfficientNet
from make_golden import DRAWING, DROPOUT, SEED, WEIGHTS, signed, stream_key, threefry, uniforms

BATCH, CLASSES, SIDE, SAMPLES = 4, 10, 64, 8
LABELS = [7, 1, 4, 9]
STEP = 0


def resnet18(**options):
    return torchvision.models.resnet18(**options)


def squeezenet1_1(**options):
    return torchvision.models.squeezenet1_1(**options)


def mobilenet_v2(**options):
    return torchvision.models.mobilenet_v2(**options)


def vgg11_bn(side=224, **options):
    """At 64 pixels without the pooling to 7 x 7, which does nothing at 224 and would repeat pixels here."""
    network = torchvision.models.vgg11_bn(**options)
    if side < 224:
        network.avgpool = torch.nn.Identity()
        network.classifier[0] = torch.nn.Linear(512 * (side // 32) ** 2, 4096)
    return network


def efficientnet_lite0(side=224, num_classes=1000):
    """Without stochastic depth, which this program has not."""
    options = dict(image_size=side, num_classes=num_classes, drop_connect_rate=0.0)
    return EfficientNet.from_name("efficientnet-lite0", **options)


class ConvGroup(torch.nn.Module):
    """Two convolutions with normalisation, whose scale isn't learnt."""

    def __init__(self, inputs, maps):
        super().__init__()
        self.conv1 = torch.nn.Conv2d(inputs, maps, 3, padding=1, bias=False)
        self.norm1 = torch.nn.BatchNorm2d(maps, eps=1e-12, momentum=0.4)
        self.conv2 = torch.nn.Conv2d(maps, maps, 3, padding=1, bias=False)
        self.norm2 = torch.nn.BatchNorm2d(maps, eps=1e-12, momentum=0.4)
        for norm in (self.norm1, self.norm2):
            norm.weight.requires_grad = False

    def forward(self, x):
        x = F.gelu(self.norm1(F.max_pool2d(self.conv1(x), 2)))
        return F.gelu(self.norm2(self.conv2(x)))


class Ninth(torch.nn.Module):
    def forward(self, x):
        return x / 9


def airbench94(num_classes=10):
    """As make_net of github.com/KellerJordan/cifar10-airbench, airbench94.py (arXiv 2404.00498)."""
    network = torch.nn.Sequential(
        torch.nn.Conv2d(3, 24, 2),
        torch.nn.GELU(),
        *(ConvGroup(inputs, maps) for inputs, maps in ((24, 64), (64, 256), (256, 256))),
        torch.nn.MaxPool2d(3),
        torch.nn.Flatten(),
        torch.nn.Linear(256, num_classes, bias=False),
        Ninth(),
    )
    network[0].weight.requires_grad = False
    return network


# `make` may be told the side of the images; `divide` is what the pixels are divided by first.
NETWORKS = {
    "vgg11_bn": dict(make=vgg11_bn, sided=True, pixels=128, divide=58),
    "resnet18": dict(make=resnet18, sided=False, pixels=128, divide=58),
    "squeezenet1_1": dict(make=squeezenet1_1, sided=False, pixels=128, divide=58),
    "mobilenet_v2": dict(make=mobilenet_v2, sided=False, pixels=128, divide=58),
    "efficientnet-lite0": dict(make=efficientnet_lite0, sided=True, pixels=128, divide=128),
    "cifar10-airbench": dict(make=airbench94, sided=False, side=32, pixels=128, divide=64),
}


class Masked(torch.nn.Module):
    """Dropout with the mask of a step; it is drawn in the order features x images."""

    def __init__(self, drop, layer):
        super().__init__()
        self.keep, self.layer = 1 - drop, layer

    def forward(self, x):
        if not self.training:
            return x
        index = np.arange(x.numel(), dtype=np.uint32)
        word, _ = threefry(stream_key(SEED, DROPOUT, STEP, self.layer), index, np.zeros_like(index))
        mask = torch.from_numpy(word < math.floor(self.keep * 2**32)).reshape(-1, x.shape[0]).T.reshape(x.shape)
        return x * mask / self.keep


def mask_dropout(network):
    found = [(parent, name) for parent in network.modules() for name, child in parent.named_children()
             if isinstance(child, torch.nn.Dropout)]
    for layer, (parent, name) in enumerate(found):
        setattr(parent, name, Masked(getattr(parent, name).p, layer))


def stored(network):
    """The state dict without the counters of batches, and without scales that stay 1, which this program leaves out."""
    ones = {f"{name}.weight" for name, layer in network.named_modules()
            if isinstance(layer, torch.nn.BatchNorm2d) and not layer.weight.requires_grad}  # fmt: skip
    return {name: values for name, values in network.state_dict().items() if values.dim() > 0 and name not in ones}


def drawn(index, name, shape):
    """Filters in He's bound, other numbers around their usual initial values."""
    count = math.prod(shape)
    if len(shape) > 1:
        return signed(count, math.sqrt(6 / math.prod(shape[1:])), WEIGHTS, index).reshape(shape)
    is_one = name.endswith("running_var") or name.endswith("weight")
    return signed(count, 0.5, WEIGHTS, index) + (1 if is_one else 0)


def run(settings, dtype):
    side = settings.get("side", SIDE)
    options = dict(side=side) if settings["sided"] else {}
    network = settings["make"](num_classes=CLASSES, **options)
    mask_dropout(network)
    state = {name: drawn(i, name, tuple(values.shape)) for i, (name, values) in enumerate(stored(network).items())}
    network.load_state_dict(state, strict=False)
    network.to(dtype)
    x = signed(3 * side * side * BATCH, settings["pixels"], DRAWING).reshape(3, side, side, BATCH)
    x = x.permute(3, 0, 1, 2).contiguous().to(dtype) / settings["divide"]
    with torch.no_grad():
        logits = copy.deepcopy(network).eval()(x)
    loss = F.cross_entropy(network.train()(x), torch.tensor(LABELS))
    loss.backward()
    result = {"logits": logits.T.flatten().tolist(), "loss": loss.item(), "gradients": {}, "statistics": {}}
    parameters = dict(network.named_parameters())
    for index, (name, values) in enumerate(stored(network).items()):
        if name not in parameters:
            result["statistics"][name] = digest(values, index)
        elif parameters[name].requires_grad:
            result["gradients"][name] = digest(parameters[name].grad, index)
    return result


def digest(values, index):
    at = np.floor(uniforms(SAMPLES, DRAWING, 1, index) * values.numel()).astype(np.int64)
    return {"norm": values.double().norm().item(), "samples": values.flatten()[torch.from_numpy(at)].tolist()}


def deviation(a, b):
    """The largest distance of a from b, relative to b's length; of a gradient, to at least a thousandth of the largest."""
    floor = max(g["norm"] for g in b["gradients"].values()) / 1000

    def largest(kind, least):
        pairs = [(a[kind][name], g) for name, g in b[kind].items()]
        return {
            "norm": max((abs(f["norm"] - g["norm"]) / max(g["norm"], least) for f, g in pairs), default=0),
            "samples": max((math.dist(f["samples"], g["samples"]) / max(math.hypot(*g["samples"]), least)
                            for f, g in pairs), default=0),
        }  # fmt: skip

    return {
        "logits": math.dist(a["logits"], b["logits"]) / math.hypot(*b["logits"]),
        "loss": abs(a["loss"] / b["loss"] - 1),
        "gradients": largest("gradients", floor),
        "statistics": largest("statistics", 0),
    }


def main():
    for name in sys.argv[1:] or NETWORKS:
        settings = NETWORKS[name]
        result = run(settings, torch.float64)
        shapes = {each: list(values.shape) for each, values in stored(settings["make"]()).items()}
        config = {key: settings[key] for key in ("pixels", "divide")}
        config |= {"side": settings.get("side", SIDE), "seed": SEED}
        config |= {"batch": BATCH, "classes": CLASSES, "labels": LABELS}
        made_with = {"torch": torch.__version__, "torchvision": torchvision.__version__, "numpy": np.__version__}
        float32 = deviation(run(settings, torch.float32), result)
        path = Path(__file__).with_name(f"{name}.json")
        contents = {"made_with": made_with, "config": config, "state_dict": shapes, **result, "float32": float32}
        path.write_text(json.dumps(contents) + "\n")
        print(name, "loss", result["loss"], "float32 strays by", json.dumps(float32))


if __name__ == "__main__":
    main()
