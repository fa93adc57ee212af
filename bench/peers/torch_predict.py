"""One image, from the start of Python to the five most probable classes: torch_predict.py IMAGE WEIGHTS MODEL.

As lean as PyTorch can do it: Pillow instead of torchvision, no initial weights drawn, the file's own memory for weights.
"""

import json
import platform
import sys

import numpy
import torch
from PIL import Image
from safetensors import safe_open

import torch_nets

image, weights, model = sys.argv[1:]
RECORD, CROP = 256, {"alexnet": 227, "efficientnet-lite0": 224}[model]

with safe_open(weights, "pt") as file:
    tensors = {name: file.get_tensor(name) for name in file.offset_keys()}
mean = tensors.pop("preprocessing.mean")
with torch.device("meta"):
    net = torch_nets.NETS[model]()
torch_nets.load(net, tensors)
net.eval()

picture = Image.open(image).convert("RGB")
scale = RECORD / min(picture.size)
picture = picture.resize([max(RECORD, round(side * scale)) for side in picture.size], Image.Resampling.BILINEAR)
left, top = [(side - RECORD) // 2 for side in picture.size]
picture = picture.crop((left, top, left + RECORD, top + RECORD))
pixels = torch.from_numpy(numpy.array(picture)).float() - mean
edge = (RECORD - CROP) // 2
x = pixels[edge : edge + CROP, edge : edge + CROP].permute(2, 0, 1)[None].contiguous()
with torch.inference_mode():
    probabilities, classes = net(x).softmax(1)[0].topk(5)
found = {"classes": [f"class {k}" for k in classes.tolist()], "probabilities": probabilities.tolist()}
print(json.dumps({"version": f"PyTorch {torch.__version__}, Python {platform.python_version()}", **found}))
