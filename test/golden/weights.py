"""Writes weights/: the `small` network's weights as PyTorch, NumPy and safetensors save them, and PyTorch's logits.

    python -m venv venv && venv/bin/pip install -r test/golden/requirements.txt safetensors==0.8.0
    venv/bin/python test/golden/weights.py                # a second

The weights follow a formula that the tests know too, and are few powers of two apart, so that every type of numbers
holds them exactly and the files, compressed with gzip, are small. The logits are those of torchvision's preprocessing,
in float64, for images that test/support/golden_pictures.ts draws too.
"""

import argparse
import collections
import datetime
import gzip
import io
import json
import os
import random
from pathlib import Path

import numpy as np
import safetensors.torch
import torch
import torch.nn.functional as F

from pillow import draw

SHAPES = {"conv1": (16, 3, 5, 5), "conv2": (32, 16, 3, 3), "conv3": (64, 32, 3, 3), "fc4": (10, 1024)}
MEAN, DEVIATION = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
IMAGES = 4
FOLDER = Path(__file__).with_name("weights")


def weights():
    state = collections.OrderedDict()
    for layer, (name, shape) in enumerate(SHAPES.items()):
        for role, size in (("weight", shape), ("bias", shape[:1])):
            i = torch.arange(int(np.prod(size)))
            values = ((i * 7919 + (i // 9) * 31 + layer * 17) % 15 - 7).float() / 64
            state[f"{name}.{role}"] = values.reshape(size)
    return state


def logits(state):
    p = {name: values.double() for name, values in state.items()}
    x = torch.from_numpy(np.stack([draw(32, 32, k) for k in range(IMAGES)]).transpose(0, 3, 1, 2) / 255.0)
    x = (x - torch.tensor(MEAN).reshape(1, 3, 1, 1)) / torch.tensor(DEVIATION).reshape(1, 3, 1, 1)
    for name, pad in (("conv1", 2), ("conv2", 1), ("conv3", 1)):
        x = F.conv2d(x, p[f"{name}.weight"], p[f"{name}.bias"], padding=pad)
        x = F.relu(F.max_pool2d(x, 3, 2, ceil_mode=True))
    return F.linear(x.flatten(1), p["fc4.weight"], p["fc4.bias"])


def transposed(values):
    """The same numbers with strides in the opposite order."""
    turned = values.permute(*reversed(range(values.ndim))).contiguous()
    return turned.permute(*reversed(range(values.ndim)))


def views(state):
    """All tensors in one storage, one behind the other."""
    whole = torch.cat([torch.zeros(5), *(values.flatten() for values in state.values())])
    views, at = {}, 5
    for name, values in state.items():
        views[name] = whole[at : at + values.numel()].view(values.shape)
        at += values.numel()
    return views


class Command:
    """What runs a command where it is unpickled without care."""

    def __reduce__(self):
        return os.system, ("echo this must not run > executed",)


def training(state):
    """An optimiser after a step, and what else scripts keep beside the weights."""
    parameters = [torch.nn.Parameter(values.clone()) for values in state.values()]
    optimizer = torch.optim.SGD(parameters, lr=0.1, momentum=0.9, nesterov=True)
    for parameter in parameters:
        parameter.grad = torch.zeros_like(parameter)
    optimizer.step()
    scheduler = torch.optim.lr_scheduler.MultiStepLR(optimizer, [30, 60])
    return optimizer.state_dict(), scheduler.state_dict()


def scripts(state):
    """Checkpoints as widely used training scripts write them."""
    optimizer, scheduler = training(state)
    prefixed = lambda prefix, values=state: collections.OrderedDict((prefix + k, v) for k, v in values.items())  # noqa: E731
    averaged = {name: values / 2 for name, values in state.items()}
    arguments = argparse.Namespace(model="small", lr=0.1, opt_betas=(0.9, 0.999), output=Path("runs"), seed=None)
    generator = np.random.default_rng(1).bit_generator.state
    return {
        # pytorch/examples, imagenet/main.py: torch.nn.DataParallel around a part of the network.
        "imagenet.pth": {
            "epoch": 3,
            "arch": "small",
            "state_dict": {k.replace(".", ".module.") if k.startswith("conv") else k: v for k, v in state.items()},
            "best_acc1": torch.tensor(56.5),
            "optimizer": optimizer,
            "scheduler": scheduler,
        },
        # timm's CheckpointSaver, whose average comes with a wrapper of its own.
        "timm.pth": {
            "epoch": 3,
            "arch": "small",
            "optimizer": optimizer,
            "version": 2,
            "args": arguments,
            "amp_scaler": {"scale": 65536.0, "growth_factor": 2.0, "_growth_tracker": 7},
            "state_dict_ema": prefixed("module.", averaged),
            "state_dict": prefixed("_orig_mod."),
            "metric": np.float64(56.5),
        },
        # Lightning's Trainer: the module's network and its loss in one state dict.
        "lightning.pth": {
            "epoch": 3,
            "global_step": 300,
            "pytorch-lightning_version": "2.6.0",
            "state_dict": prefixed("net.model.") | {"criterion.weight": torch.ones(10)},
            "loops": {"fit_loop": {"state_dict": {}, "epoch_progress": collections.Counter(ready=3)}},
            "callbacks": {"ModelCheckpoint": {"best_model_score": torch.tensor(0.5), "kth": collections.defaultdict(list)}},
            "optimizer_states": [optimizer],
            "lr_schedulers": [scheduler],
            "hparams_name": "kwargs",
            "hyper_parameters": collections.Counter(width=64),
            "datamodule": arguments,
        },
        # torch.optim.swa_utils.AveragedModel around a compiled network, and states of random generators.
        "averaged.pth": {
            "net": prefixed("module._orig_mod.") | {"n_averaged": torch.tensor(5)},
            "rng": (random.Random(1).getstate(), generator, np.arange(2000), torch.get_rng_state()),
            "command": Command(),
            "date": datetime.datetime(2026, 1, 1),
            "types": {"dtype": torch.complex64, "device": torch.device("cpu"), "z": torch.ones(2, dtype=torch.complex64)},
        },
        # Weights only in an object of a class, as ultralytics has them.
        "object.pth": {"epoch": 3, "model": torch.nn.Linear(2, 2), "ema": None, "optimizer": optimizer, "train_args": {}},
    }


def torch_file(value, **options):
    file = io.BytesIO()
    torch.save(value, file, **options)
    return file.getvalue()


def numpy_file(save, *args, **options):
    file = io.BytesIO()
    save(file, *args, **options)
    return file.getvalue()


def main():
    state = weights()
    to = lambda dtype: {name: values.to(dtype) for name, values in state.items()}  # noqa: E731
    arrays = {name: values.numpy() for name, values in state.items()}
    # TensorFlow's order: rows, columns, inputs, outputs, and for the last layer rows, columns, maps.
    last = arrays["fc4.weight"].reshape(10, 64, 4, 4).transpose(2, 3, 1, 0).reshape(1024, 10)
    layers = {
        name: [last if name == "fc4" else arrays[f"{name}.weight"].transpose(2, 3, 1, 0), arrays[f"{name}.bias"]]
        for name in SHAPES
    }
    legacy = dict(_use_new_zipfile_serialization=False)
    files = {
        "zip.pth": torch_file(state),
        "legacy.pth": torch_file(state, **legacy),
        "half-nested.pth": torch_file(
            {"epoch": 3, "best": 0.25, "state_dict": {f"module.{k}": v for k, v in to(torch.float16).items()}}
        ),
        "bfloat16.pth": torch_file(to(torch.bfloat16)),
        "double-legacy.pth": torch_file(to(torch.float64), **legacy),
        "strides.pth": torch_file({name: transposed(values) for name, values in state.items()}),
        "views.pth": torch_file(views(state)),
        "views-legacy.pth": torch_file(views(state), **legacy),
        "parameters.pth": torch_file({name: torch.nn.Parameter(values) for name, values in state.items()}),
        "half.safetensors": safetensors.torch.save({k: v.contiguous() for k, v in to(torch.float16).items()}),
        "arrays.npz": numpy_file(np.savez, **arrays),
        "compressed.npz": numpy_file(np.savez_compressed, **{k: np.asfortranarray(v) for k, v in arrays.items()}),
        "dictionary.npy": numpy_file(np.save, np.array(layers, dtype=object), allow_pickle=True),
        "module.pth": torch_file(torch.nn.Linear(2, 2)),
    }
    torch.manual_seed(1)
    for name, contents in scripts(state).items():
        files[name] = torch_file(contents)
        if name in ("imagenet.pth", "object.pth"):
            files[f"legacy-{name}"] = torch_file(contents, **legacy)
    FOLDER.mkdir(exist_ok=True)
    for name, contents in files.items():
        (FOLDER / f"{name}.gz").write_bytes(gzip.compress(contents, 9, mtime=0))
    golden = dict(torch=torch.__version__, numpy=np.__version__, images=IMAGES, logits=logits(state).tolist())
    (FOLDER / "logits.json").write_text(json.dumps(golden) + "\n")
    print(len(files), "files")


if __name__ == "__main__":
    main()
