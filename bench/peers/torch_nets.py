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


def conv_norm(inputs, maps, size=1, stride=1, groups=1):
    """TensorFlow's "same" padding; sides are even where the stride is 2."""
    before = (size - stride) // 2
    after = size - stride - before
    conv = nn.Conv2d(inputs, maps, size, stride=stride, padding=before, groups=groups, bias=False)
    pad = [nn.ZeroPad2d((0, after - before, 0, after - before))] if after > before else []
    return [*pad, conv, nn.BatchNorm2d(maps, eps=1e-3, momentum=0.01)]


class InvertedResidual(nn.Sequential):
    def forward(self, x):
        y = super().forward(x)
        return x + y if x.shape == y.shape else y


def efficientnet_lite0():
    layers = [*conv_norm(3, 32, 3, 2), nn.ReLU6(True)]
    inputs = 32
    rows = [(1, 16, 1, 1, 3), (6, 24, 2, 2, 3), (6, 40, 2, 2, 5), (6, 80, 3, 2, 3), (6, 112, 3, 1, 5)]
    for expansion, maps, repeats, stride, size in [*rows, (6, 192, 4, 2, 5), (6, 320, 1, 1, 3)]:
        for i in range(repeats):
            hidden = expansion * inputs
            expand = [*conv_norm(inputs, hidden), nn.ReLU6(True)] if expansion > 1 else []
            depthwise = [*conv_norm(hidden, hidden, size, stride if i == 0 else 1, hidden), nn.ReLU6(True)]
            layers.append(InvertedResidual(*expand, *depthwise, *conv_norm(hidden, maps)))
            inputs = maps
    layers += [*conv_norm(320, 1280), nn.ReLU6(True), nn.AdaptiveAvgPool2d(1), nn.Flatten()]
    return nn.Sequential(*layers, nn.Dropout(0.2), nn.Linear(1280, 1000))


class Shift(nn.BatchNorm2d):
    """Batch normalisation that learns no scale."""

    def __init__(self, maps):
        super().__init__(maps, eps=1e-12, momentum=0.4)
        self.weight = None


def airbench_block(inputs, maps):
    return [
        *(nn.Conv2d(inputs, maps, 3, padding=1, bias=False), nn.MaxPool2d(2), Shift(maps), nn.GELU()),
        *(nn.Conv2d(maps, maps, 3, padding=1, bias=False), Shift(maps), nn.GELU()),
    ]


def cifar10_airbench():
    """airbench94 (arXiv 2404.00498)."""
    whitening = nn.Conv2d(3, 24, 2)
    whitening.weight.requires_grad = False
    return nn.Sequential(
        *(Divide(64), whitening, nn.GELU()),
        *(*airbench_block(24, 64), *airbench_block(64, 256), *airbench_block(256, 256)),
        *(nn.MaxPool2d(3), nn.Flatten(), nn.Linear(256, 10, bias=False), Divide(9)),
    )


class Divide(nn.Module):
    """To pixels of about deviation 1."""

    def __init__(self, by):
        super().__init__()
        self.by = by

    def forward(self, x):
        return x / self.by


def resnet18():
    import torchvision

    return nn.Sequential(Divide(58), torchvision.models.resnet18())


NETS = {
    "alexnet": alexnet,
    "alexnet-owt": alexnet_owt,
    "cifar10-18pct": cifar10_18pct,
    "cifar10-airbench": cifar10_airbench,
    "resnet18": resnet18,
    "efficientnet-lite0": lambda: nn.Sequential(Divide(128), efficientnet_lite0()),
}


def load(net, weights):
    """Takes over the weights in order, parameters before running statistics: the names differ."""
    statistics = [item for item in net.named_buffers() if not item[0].endswith("num_batches_tracked")]
    own = [*net.named_parameters(), *statistics]
    if len(own) != len(weights):
        raise ValueError(f"{len(weights)} tensors for {len(own)} parameters and running statistics")
    for (_, tensor), (name, values) in zip(own, weights.items()):
        if tensor.shape != values.shape:
            raise ValueError(f"{name} is {tuple(values.shape)}, the net's is {tuple(tensor.shape)}")
    # Copies: training changes them in place.
    values = [torch.tensor(values) for values in weights.values()]
    net.load_state_dict(dict(zip([name for name, _ in own], values)), strict=False, assign=True)
