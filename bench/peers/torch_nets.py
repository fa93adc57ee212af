"""The networks of src/net/networks.ts in PyTorch: parameters in the same order and with the same shapes."""

import torch
from torch import nn


class MapNorm(nn.Module):
    """Response normalisation within each map, over a window of 3 x 3: cuda-convnet's rnorm."""

    def __init__(self, alpha, beta):
        super().__init__()
        self.alpha, self.beta = alpha, beta
        # Zeros outside the image count towards the mean, so nine times the mean is the sum.
        self.mean = nn.AvgPool2d(3, 1, padding=1)

    def forward(self, x):
        return x * (1 + 9 * self.alpha * self.mean(x * x)) ** -self.beta


def paper_norm():
    # PyTorch divides alpha by the window.
    return nn.LocalResponseNorm(5, alpha=5 * 1e-4, beta=0.75, k=2)


def relu():
    return nn.ReLU(inplace=True)


def alexnet():
    return nn.Sequential(
        *(nn.Conv2d(3, 96, 11, stride=4), relu(), paper_norm(), nn.MaxPool2d(3, 2)),
        *(nn.Conv2d(96, 256, 5, padding=2, groups=2), relu(), paper_norm(), nn.MaxPool2d(3, 2)),
        *(nn.Conv2d(256, 384, 3, padding=1), relu()),
        *(nn.Conv2d(384, 384, 3, padding=1, groups=2), relu()),
        *(nn.Conv2d(384, 256, 3, padding=1, groups=2), relu(), nn.MaxPool2d(3, 2)),
        nn.Flatten(),
        *(nn.Linear(9216, 4096), relu(), nn.Dropout()),
        *(nn.Linear(4096, 4096), relu(), nn.Dropout()),
        nn.Linear(4096, 1000),
    )


def alexnet_owt():
    """torchvision's alexnet, without its adaptive pooling, which does nothing at 224 x 224."""
    return nn.Sequential(
        *(nn.Conv2d(3, 64, 11, stride=4, padding=2), relu(), nn.MaxPool2d(3, 2)),
        *(nn.Conv2d(64, 192, 5, padding=2), relu(), nn.MaxPool2d(3, 2)),
        *(nn.Conv2d(192, 384, 3, padding=1), relu()),
        *(nn.Conv2d(384, 256, 3, padding=1), relu()),
        *(nn.Conv2d(256, 256, 3, padding=1), relu(), nn.MaxPool2d(3, 2)),
        nn.Flatten(),
        *(nn.Dropout(), nn.Linear(9216, 4096), relu()),
        *(nn.Dropout(), nn.Linear(4096, 4096), relu()),
        nn.Linear(4096, 1000),
    )


def cifar10_18pct():
    return nn.Sequential(
        *(nn.Conv2d(3, 32, 5, padding=2), nn.MaxPool2d(3, 2, ceil_mode=True), relu(), MapNorm(5e-5 / 9, 0.75)),
        *(nn.Conv2d(32, 32, 5, padding=2), relu(), nn.AvgPool2d(3, 2, ceil_mode=True), MapNorm(5e-5 / 9, 0.75)),
        *(nn.Conv2d(32, 64, 5, padding=2), relu(), nn.AvgPool2d(3, 2, ceil_mode=True)),
        nn.Flatten(),
        nn.Linear(1024, 10),
    )


NETS = {"alexnet": alexnet, "alexnet-owt": alexnet_owt, "cifar10-18pct": cifar10_18pct}


def load(net, weights):
    """Copies the weights in order: nn.Sequential numbers its layers, so the names differ."""
    parameters = list(net.parameters())
    if len(parameters) != len(weights):
        raise ValueError(f"{len(weights)} tensors for {len(parameters)} parameters")
    with torch.no_grad():
        for parameter, (name, values) in zip(parameters, weights.items()):
            if parameter.shape != values.shape:
                raise ValueError(f"{name} is {values.shape}, the net's is {tuple(parameter.shape)}")
            parameter.copy_(torch.as_tensor(values))
