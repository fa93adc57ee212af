"""Writes the golden files: what PyTorch, in float64 on the CPU, makes of the three 227- and 224-pixel networks.

    python -m venv venv && venv/bin/pip install -r test/golden/requirements.txt
    venv/bin/python test/golden/make_golden.py            # about two minutes, 4 GB of memory

Nothing is read: images, weights and dropout masks come from Threefry-2x32 (src/random.ts), which both sides compute
exactly, so that a golden file holds results only. Each holds, for a batch of four and 1,000 classes:

    logits     K x N, and `loss`, as in a test: without dropout
    gradients  of the first training step, with dropout: for every parameter its norm, and 64 elements drawn at random
    losses     of ten training steps, with dropout; SGD as in paper section 5
    float32    how far PyTorch's own float32 run strays from the above: what a tolerance has to allow

The networks are written out by hand from the paper and from the 2012 program's layer file, with functional calls only,
so that they share nothing with src/model but the names of the parameters.
"""

import json
import math
import sys
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

SEED = 2012
WEIGHTS, DROPOUT, DRAWING = 1, 4, 5  # Purpose in src/random.ts
BATCH, CLASSES, STEPS, SAMPLES = 4, 1000, 10, 64
LABELS = [7, 130, 421, 999]
MOMENTUM = 0.9
DECAY = 0.5  # not the paper's 0.0005: at these small rates, and over ten steps, that could not be seen in the losses


# Threefry-2x32, 20 rounds, on arrays of counters ------------------------------------------------------------------


def threefry(key, c0, c1):
    k0, k1 = np.uint32(key[0]), np.uint32(key[1])
    keys = [k0, k1, k0 ^ k1 ^ np.uint32(0x1BD11BDA)]
    x0, x1 = np.asarray(c0, np.uint32) + k0, np.asarray(c1, np.uint32) + k1
    for r in range(20):
        rotation = np.uint32([13, 15, 26, 6, 17, 29, 16, 24][r % 8])
        x0 = x0 + x1
        x1 = ((x1 << rotation) | (x1 >> (np.uint32(32) - rotation))) ^ x0
        if r % 4 == 3:
            s = (r + 1) // 4
            x0 = x0 + keys[s % 3]
            x1 = x1 + keys[(s + 1) % 3] + np.uint32(s)
    return x0, x1


def stream_key(seed, purpose, a=0, b=0):
    def one(key, c0, c1):
        x0, x1 = threefry(key, np.array([c0], np.uint32), np.array([c1], np.uint32))
        return int(x0[0]), int(x1[0])

    return one(one((seed, 0), purpose, 0), a, b)


def uniforms(count, purpose, a=0, b=0):
    """The first numbers of `new Random(SEED, purpose, a, b)`, in [0, 1)."""
    blocks = np.arange((count + 1) // 2, dtype=np.uint32)
    words = np.stack(threefry(stream_key(SEED, purpose, a, b), blocks, np.zeros_like(blocks)), axis=1)
    return words.reshape(-1)[:count] / 2.0**32


def signed(count, bound, purpose, a=0):
    """Uniform in [-bound, bound), rounded to float32."""
    return torch.from_numpy(((uniforms(count, purpose, a) * 2 - 1) * bound).astype(np.float32))


# The networks -----------------------------------------------------------------------------------------------------


def lrn(x, alpha, groups=1):
    """Across maps, k 2, n 5, beta 0.75; alpha not divided by n: PyTorch divides."""
    parts = x.chunk(groups, dim=1)
    return torch.cat([F.local_response_norm(part, 5, alpha=alpha * 5, beta=0.75, k=2.0) for part in parts], dim=1)


def map_norm(x, alpha):
    """Inside each map, 5 x 5 pixels, k 1, beta 0.75; zero padding adds nothing to the sum."""
    total = F.avg_pool2d(x * x, 5, stride=1, padding=2, count_include_pad=True) * 25
    return x * (1 + alpha * total) ** -0.75


def pool(x):
    return F.max_pool2d(x, 3, 2)


def dropout(x, step, layer):
    """Keeps half of the elements and doubles them; the mask is drawn in the order features x images."""
    if step is None:
        return x
    n, features = x.shape
    index = np.arange(features * n, dtype=np.uint32)
    word, _ = threefry(stream_key(SEED, DROPOUT, step, layer), index, np.zeros_like(index))
    mask = torch.from_numpy((word < 2**31).reshape(features, n).T.copy())
    return x * mask.to(x.dtype) * 2


def paper_head(x, p, step):
    x = x.flatten(1)
    x = dropout(F.relu(F.linear(x, p["fc6.weight"], p["fc6.bias"])), step, 0)
    x = dropout(F.relu(F.linear(x, p["fc7.weight"], p["fc7.bias"])), step, 1)
    return F.linear(x, p["fc8.weight"], p["fc8.bias"])


def alexnet(x, p, step):
    """Krizhevsky, Sutskever, Hinton 2012, sections 3.3 to 3.5."""
    x = pool(lrn(F.relu(F.conv2d(x, p["conv1.weight"], p["conv1.bias"], stride=4)), 1e-4))
    x = pool(lrn(F.relu(F.conv2d(x, p["conv2.weight"], p["conv2.bias"], padding=2, groups=2)), 1e-4))
    x = F.relu(F.conv2d(x, p["conv3.weight"], p["conv3.bias"], padding=1))
    x = F.relu(F.conv2d(x, p["conv4.weight"], p["conv4.bias"], padding=1, groups=2))
    x = F.relu(F.conv2d(x, p["conv5.weight"], p["conv5.bias"], padding=1, groups=2))
    return paper_head(pool(x), p, step)


def alexnet_2012(x, p, step):
    """As trained: layers-145.cfg and layer-params-145-2010.cfg of the 2012 program."""
    x = F.conv2d(x, p["conv1.weight"], p["conv1.bias"], stride=4)
    x = F.relu(pool(lrn(x, 1e-4 / 5, groups=2)))
    x = F.relu(F.conv2d(x, p["conv2.weight"], p["conv2.bias"], padding=2, groups=2))
    x = pool(map_norm(lrn(x, 1e-4 / 5, groups=2), 0.001 / 25))
    x = F.relu(F.conv2d(x, p["conv3.weight"], p["conv3.bias"], padding=1))
    x = F.relu(F.conv2d(x, p["conv4.weight"], p["conv4.bias"], padding=1, groups=2))
    x = F.conv2d(x, p["conv5.weight"], p["conv5.bias"], padding=1, groups=2)
    return paper_head(F.relu(pool(x)), p, step)


def alexnet_owt(x, p, step):
    """torchvision's `alexnet`: features 0, 3, 6, 8, 10 and classifier 1, 4, 6; dropout is classifier 0 and 3."""

    def conv(x, layer, **options):
        return F.relu(F.conv2d(x, p[f"features.{layer}.weight"], p[f"features.{layer}.bias"], **options))

    def fc(x, layer):
        return F.linear(x, p[f"classifier.{layer}.weight"], p[f"classifier.{layer}.bias"])

    x = pool(conv(x, 0, stride=4, padding=2))
    x = pool(conv(x, 3, padding=2))
    x = conv(conv(conv(x, 6, padding=1), 8, padding=1), 10, padding=1)
    x = F.adaptive_avg_pool2d(pool(x), (6, 6)).flatten(1)
    x = F.relu(fc(dropout(x, step, 0), 1))
    x = F.relu(fc(dropout(x, step, 1), 4))
    return fc(x, 6)


PAPER_SHAPES = {
    "conv1": (96, 3, 11, 11),
    "conv2": (256, 48, 5, 5),
    "conv3": (384, 256, 3, 3),
    "conv4": (384, 192, 3, 3),
    "conv5": (256, 192, 3, 3),
    "fc6": (4096, 9216),
    "fc7": (4096, 4096),
    "fc8": (CLASSES, 4096),
}
OWT_SHAPES = {
    "features.0": (64, 3, 11, 11),
    "features.3": (192, 64, 5, 5),
    "features.6": (384, 192, 3, 3),
    "features.8": (256, 384, 3, 3),
    "features.10": (256, 256, 3, 3),
    "classifier.1": (4096, 9216),
    "classifier.4": (4096, 4096),
    "classifier.6": (CLASSES, 4096),
}

# `pixels`: images are uniform in +-pixels; large enough that the normalisations' sums count beside their k.
# `gain`: what the weights from the third layer on are multiplied by, so that the softmax is not saturated.
# `bias_rate`, `bias_decay`: factors of the biases' learning rate and decay. Their gradients are a hundred times smaller
# here than the weights', so that it takes a large factor to see them in the losses.
PAPER = dict(side=227, pixels=128, gain=0.5, rate=2e-5, bias_rate=200, bias_decay=1)
NETWORKS = {
    "alexnet": dict(forward=alexnet, shapes=PAPER_SHAPES, **PAPER),
    "alexnet-2012": dict(forward=alexnet_2012, shapes=PAPER_SHAPES, **PAPER | dict(bias_rate=400, bias_decay=0)),
    "alexnet-owt": dict(forward=alexnet_owt, shapes=OWT_SHAPES, **PAPER | dict(side=224, pixels=2, rate=2e-4)),
}


def parameters(network, dtype):
    """He's bound for the weights of each layer (its variance, drawn uniformly); biases in +-1."""
    made = {}
    for depth, (layer, shape) in enumerate(network["shapes"].items()):
        bound = math.sqrt(6 / math.prod(shape[1:])) * (network["gain"] if depth >= 2 else 1)
        for name, size, limit in (("weight", shape, bound), ("bias", shape[:1], 1)):
            values = signed(math.prod(size), limit, WEIGHTS, len(made))
            made[f"{layer}.{name}"] = values.reshape(size).to(dtype).requires_grad_()
    return made


def run(network, dtype):
    side, forward, rate = network["side"], network["forward"], network["rate"]
    x = signed(3 * side * side * BATCH, network["pixels"], DRAWING).reshape(3, side, side, BATCH)
    x = x.permute(3, 0, 1, 2).contiguous().to(dtype)
    labels = torch.tensor(LABELS)
    p = parameters(network, dtype)
    with torch.no_grad():
        logits = forward(x, p, None)
    result = {"logits": logits.T.flatten().tolist(), "loss": F.cross_entropy(logits, labels).item(), "losses": []}
    velocity = {name: torch.zeros_like(w) for name, w in p.items()}
    for step in range(STEPS):
        loss = F.cross_entropy(forward(x, p, step), labels)
        result["losses"].append(loss.item())
        gradients = dict(zip(p, torch.autograd.grad(loss, list(p.values()))))
        if step == 0:
            result["gradients"] = {name: digest(g, i) for i, (name, g) in enumerate(gradients.items())}
        with torch.no_grad():
            for name, w in p.items():
                bias = name.endswith("bias")
                e = rate * (network["bias_rate"] if bias else 1)
                decay = DECAY * (network["bias_decay"] if bias else 1)
                velocity[name].mul_(MOMENTUM).sub_(decay * e * w).sub_(e * gradients[name])
                w.add_(velocity[name])
    return result


def digest(gradient, index):
    at = np.floor(uniforms(SAMPLES, DRAWING, 1, index) * gradient.numel()).astype(np.int64)
    return {"norm": gradient.double().norm().item(), "samples": gradient.flatten()[torch.from_numpy(at)].tolist()}


def deviation(a, b):
    """How far a is from b: of lists the distance, relative to the length of b."""

    def distance(u, v):
        return math.dist(u, v) / math.hypot(*v)

    pairs = {name: (a["gradients"][name], g) for name, g in b["gradients"].items()}
    return {
        "logits": distance(a["logits"], b["logits"]),
        "loss": abs(a["loss"] / b["loss"] - 1),
        "losses": [abs(u / v - 1) for u, v in zip(a["losses"], b["losses"])],
        "norms": {name: abs(f["norm"] / g["norm"] - 1) for name, (f, g) in pairs.items()},
        "samples": {name: distance(f["samples"], g["samples"]) for name, (f, g) in pairs.items()},
    }


def main():
    for name in sys.argv[1:] or NETWORKS:
        network = NETWORKS[name]
        result = run(network, torch.float64)
        config = {k: v for k, v in network.items() if k not in ("forward", "shapes")}
        config |= {"seed": SEED, "batch": BATCH, "classes": CLASSES, "labels": LABELS}
        config |= {"momentum": MOMENTUM, "decay": DECAY}
        made_with = {"torch": torch.__version__, "numpy": np.__version__}
        float32 = deviation(run(network, torch.float32), result)
        path = Path(__file__).with_name(f"{name}.json")
        path.write_text(json.dumps({"made_with": made_with, "config": config, **result, "float32": float32}) + "\n")
        print(name, "loss", result["loss"], "losses", [round(v, 4) for v in result["losses"]])
        print("  float32 strays by", json.dumps(float32, indent=2))


if __name__ == "__main__":
    main()
