"""Ways to tell what a network was not trained on, compared by its features.

    bun run features DATA --model RUN --part train --out known.npy
    bun run features DATA --model RUN --part val --out val.npy
    bun run features OTHERS --model RUN --out others.npy
    python bench/unlike.py RUN/best.safetensors known.npy val.npy others.npy

For each way: the AUROC of its scores for OTHERS against the validation photos, and the share of OTHERS whose score is
above that of 95% of the validation photos. Needs NumPy and safetensors. The csv beside each .npy has the classes.
"""

import csv
import sys

import numpy
from safetensors.numpy import load_file

# What is added to covariances so that they can be inverted: this share of the diagonal, or of its mean.
SHRINKAGE = 0.5
RIDGE = 1e-3


def rows(path):
    return numpy.load(path).astype(float)


def labels(path):
    with open(path.replace(".npy", ".csv"), newline="") as file:
        names = [row["class"] for row in csv.DictReader(file)]
    return numpy.unique(names, return_inverse=True)[1]


def unit(x):
    return x / numpy.maximum(numpy.linalg.norm(x, axis=1, keepdims=True), 1e-30)


def ways(known, label, weight, bias):
    """Functions from features to scores, by name; the higher, the less like the known."""
    classes = range(label.max() + 1)
    means = numpy.stack([known[label == k].mean(0) for k in classes])
    residual = known - means[label]
    freedom = len(known) - len(means)
    variance = (residual**2).sum(0) / freedom
    ridge = RIDGE * variance.mean()
    covariance = (1 - SHRINKAGE) * residual.T @ residual / freedom + SHRINKAGE * numpy.diag(variance + ridge)
    inverse = numpy.linalg.inv(covariance)

    def mahalanobis(x):
        return numpy.min([numpy.einsum("ni,ij,nj->n", x - mean, inverse, x - mean) for mean in means], 0)

    def cosine(prototypes, nearest=1):
        return lambda x: -numpy.sort(unit(x) @ prototypes.T, 1)[:, -nearest]

    def groups(count):
        order = numpy.random.default_rng(0).permutation(len(known))
        parts = [part for k in classes for part in numpy.array_split(order[label[order] == k], count) if len(part)]
        return unit(numpy.stack([unit(known[part]).mean(0) for part in parts]))

    def logits(x):
        return x @ weight.T + bias

    def softmax(x):
        powers = numpy.exp(logits(x) - logits(x).max(1, keepdims=True))
        return powers / powers.sum(1, keepdims=True)

    return {
        "largest probability": lambda x: -softmax(x).max(1),
        "energy of the logits": lambda x: -numpy.logaddexp.reduce(logits(x), 1),
        "nearest class mean, shared variances": lambda x: numpy.min([((x - m) ** 2 / (variance + ridge)).sum(1) for m in means], 0),
        "nearest class mean, shared covariance": mahalanobis,
        "cosine to the nearest class mean": cosine(unit(means)),
        "cosine to the nearest of 20 means a class": cosine(groups(20)),
        "cosine to the nearest of 100 means a class": cosine(groups(100)),
        "cosine to the nearest image": cosine(unit(known)),
        "cosine to the fifth nearest image": cosine(unit(known), 5),
    }


def auroc(val, others):
    """The probability that one of the others has the higher score."""
    return ((others[:, None] > val).mean() + (others[:, None] == val).mean() / 2)


model, known_path, val_path, others_path = sys.argv[1:]
tensors = load_file(model)
val, others = rows(val_path), rows(others_path)
# The last layer: a matrix of classes × features.
name = [name for name, tensor in tensors.items() if name.endswith(".weight") and tensor.shape[1:] == val.shape[1:]][-1]
bias = tensors.get(name.replace(".weight", ".bias"), 0)
for way, score in ways(rows(known_path), labels(known_path), tensors[name].astype(float), bias).items():
    of_val, of_others = score(val), score(others)
    flagged = (of_others > numpy.quantile(of_val, 0.95)).mean()
    print(f"{way:44} {auroc(of_val, of_others):.3f} {100 * flagged:5.0f}%")
