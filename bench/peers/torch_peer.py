"""PyTorch in float32, on the CPU or, with "device": "gpu", on CUDA with TF32 off unless the job says so: torch_peer.py JOB [MODE].

Eager, if no mode is given; "channels_last": eager, with that layout in memory; "torch.compile": compiled.
"""

import sys


import torch
from torch.nn.functional import cross_entropy

import torch_nets
from common import answer, logits_error, measure, product_error, read_job, read_step, uniform


def main():
    job = read_job()
    version = ", ".join([f"PyTorch {torch.__version__}", *sys.argv[2:]])
    if job["task"] == "parameters":
        with torch.device("meta"):
            nets = {name: torch_nets.NETS[name]() for name in job["models"]}
        counts = {name: sum(parameter.numel() for parameter in net.parameters()) for name, net in nets.items()}
        return answer(version, [{"name": name, "samples": [], "parameters": count} for name, count in counts.items()])
    work = {"matmul": matmul, "step": step}[job["task"]]
    if job["device"] == "gpu":
        if not torch.cuda.is_available():
            names = job.get("sizes", ["training", "forward"])
            return answer(version, [{"name": str(name), "cannot": "this PyTorch finds no CUDA device"} for name in names])
        use_tf32(False)
        # cuDNN tries its algorithms in the first run, which is not counted, and keeps the fastest.
        torch.backends.cudnn.benchmark = True
        index = card_named(job.get("card"))
        torch.cuda.set_device(index)
        runtime = f"ROCm {torch.version.hip}" if torch.version.hip else f"CUDA {torch.version.cuda}"
        version += f", {torch.cuda.get_device_name(index)}, {runtime}"
        answer(version, work(job, torch.device("cuda", index), torch.cuda.synchronize))
    else:
        torch.set_num_threads(job["threads"])
        answer(version, work(job, torch.device("cpu"), lambda: None))


def use_tf32(allowed):
    torch.backends.cuda.matmul.allow_tf32 = allowed
    torch.backends.cudnn.allow_tf32 = allowed


def in_each_precision(job):
    """Sets each of the job's precisions; yields what it adds to the names of results."""
    for precision in job.get("precisions", ["f32"]):
        use_tf32(precision == "tf32")
        yield ", TF32" if precision == "tf32" else ""


def card_named(name):
    """The first card of this name, else the first."""
    names = [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())]
    return names.index(name) if name in names else 0


def matmul(job, device, synchronize):
    results = []
    for size in job["sizes"]:
        a, b = uniform(size), uniform(size)
        x, y = torch.as_tensor(a, device=device), torch.as_tensor(b, device=device)
        product = torch.empty_like(x)

        def run():
            torch.matmul(x, y, out=product)
            synchronize()

        for suffix in in_each_precision(job):
            samples = measure(run, job["seconds"])
            error = product_error(a, b, product.cpu().numpy())
            results.append({"name": f"{size}{suffix}", "samples": samples, "error": error})
    return results


def step(job, device, synchronize):
    if job["model"] not in torch_nets.NETS:
        return [{"name": "training", "cannot": f"bench/peers/torch_nets.py has no {job['model']}"}]
    given = read_step(job)
    results = []
    for suffix in in_each_precision(job):
        for result in step_in(job, given, device, synchronize):
            results.append({**result, "name": result["name"] + suffix})
    return results


def step_in(job, given, device, synchronize):
    weights, images, classes, logits = given
    net = torch_nets.NETS[job["model"]]()
    torch_nets.load(net, weights)
    net.to(device)
    x, labels = torch.as_tensor(images, device=device), torch.as_tensor(classes, device=device)
    if "channels_last" in sys.argv:
        net, x = net.to(memory_format=torch.channels_last), x.contiguous(memory_format=torch.channels_last)
    if "torch.compile" in sys.argv:
        net = torch.compile(net)
    out = None
    losses = []

    # Forward first: training changes the weights.
    def forward():
        nonlocal out
        out = net(x)
        out.softmax(1)
        synchronize()

    net.eval()
    with torch.inference_mode():
        forward_samples = measure(forward, job["seconds"])
        error = logits_error(out.cpu().numpy(), logits)

    net.train()
    settings = {"momentum": job["momentum"], "weight_decay": job["decay"]}
    optimiser = torch.optim.SGD(net.parameters(), lr=job["rate"], **settings)

    def train():
        # The same dropout masks in every step, so that the loss must fall.
        torch.manual_seed(0)
        optimiser.zero_grad()
        loss = cross_entropy(net(x), labels)
        loss.backward()
        optimiser.step()
        # Reading the loss alone does not wait for the update.
        losses.append(loss.item())
        synchronize()

    training_samples = measure(train, job["seconds"])
    return [
        {"name": "training", "samples": training_samples, "losses": losses},
        {"name": "forward", "samples": forward_samples, "error": error},
    ]


main()
