"""Shared by the contestants in Python."""

import json
import platform
import sys
import time

import numpy

# Minimum number of samples, however long they take.
LEAST_RUNS = 2


def read_job():
    """This process's job: see job.ts."""
    return json.loads(sys.argv[1])


def answer(library, results):
    """Prints the outcome."""
    print(json.dumps({"version": f"{library}, Python {platform.python_version()}", "results": results}))


def measure(run, seconds):
    """Runs repeatedly; times in ms. The first run, which compiles and allocates, is not counted."""
    run()
    samples = []
    end = time.perf_counter() + seconds
    while len(samples) < LEAST_RUNS or time.perf_counter() < end:
        start = time.perf_counter()
        run()
        samples.append(1000 * (time.perf_counter() - start))
    return samples


def uniform(size):
    """A square matrix of numbers uniform in -1 to 1."""
    return numpy.random.uniform(-1, 1, (size, size)).astype(numpy.float32)


def product_error(a, b, c):
    """The largest |c - c'| / sum of |a b| over 64 entries of c = a b, recomputed in float64."""
    size = a.shape[0]
    rows, columns = numpy.random.randint(0, size, (2, 64))
    terms = a[rows].astype(numpy.float64) * b[:, columns].T.astype(numpy.float64)
    error = numpy.abs(terms.sum(1) - c[rows, columns]) / numpy.abs(terms).sum(1)
    return finite(error.max())


def logits_error(got, wanted):
    """The largest difference between logits, relative to the largest expected one."""
    return finite(numpy.abs(got[: len(wanted)] - wanted).max() / numpy.abs(wanted).max())


def finite(error):
    """Turns NaN, which JSON can't express, into the largest error."""
    return float(error) if numpy.isfinite(error) else sys.float_info.max


def read_step(job):
    """Weights by name, a batch of images N x C x H x W, its labels, and the expected logits of its first images."""
    weights = read_tensors(job["weights"])
    weights.pop("preprocessing.mean")
    check = read_tensors(job["check"])
    images, classes = check["input"], check["logits"].shape[1]
    repeats = -(-job["batch"] // len(images))
    batch = numpy.concatenate([images] * repeats)[: job["batch"]]
    labels = numpy.arange(job["batch"]) % classes
    return weights, batch, labels, check["logits"]


def read_tensors(path):
    """The tensors of a safetensors file of float32, in the order of the file: a Python with PyTorch may lack the library."""
    with open(path, "rb") as file:
        data = file.read()
    start = 8 + int.from_bytes(data[:8], "little")
    header = json.loads(data[8:start])
    header.pop("__metadata__", None)
    tensors = {}
    for name, entry in sorted(header.items(), key=lambda item: item[1]["data_offsets"]):
        if entry["dtype"] != "F32":
            raise ValueError(f"{path}: {name} is {entry['dtype']}, not F32")
        first, last = entry["data_offsets"]
        values = numpy.frombuffer(data, numpy.float32, (last - first) // 4, start + first)
        tensors[name] = values.reshape(entry["shape"]).copy()
    return tensors
