"""JAX on the CPU: the networks in plain jax.lax, whole steps under jit, on all cores."""

import functools

import jax
import jax.numpy as jnp
from jax import lax

from common import answer, logits_error, measure, read_job, read_step


def conv(x, w, b, stride=1, pad=0, groups=1):
    padding = [(pad, pad)] * 2
    layout = ("NHWC", "OIHW", "NHWC")
    y = lax.conv_general_dilated(x, w, (stride,) * 2, padding, dimension_numbers=layout, feature_group_count=groups)
    return y + b


def max_pool(x, padding=((0, 0), (0, 0))):
    return lax.reduce_window(x, -jnp.inf, lax.max, (1, 3, 3, 1), (1, 2, 2, 1), ((0, 0), *padding, (0, 0)))


def sum_pool(x, stride, padding):
    return lax.reduce_window(x, 0.0, lax.add, (1, 3, 3, 1), (1, stride, stride, 1), ((0, 0), *padding, (0, 0)))


# Sides of 32 and 16 are halved by windows that extend past the far edge.
OVER = ((0, 1), (0, 1))


def average_pool(x):
    inside = sum_pool(jnp.ones_like(x[:1, :, :, :1]), 2, OVER)
    return sum_pool(x, 2, OVER) / inside


def lrn(x):
    """Across five neighbouring maps, paper section 3.3."""
    total = lax.reduce_window(x * x, 0.0, lax.add, (1, 1, 1, 5), (1, 1, 1, 1), ((0, 0), (0, 0), (0, 0), (2, 2)))
    return x * (2 + 1e-4 * total) ** -0.75


def map_norm(x):
    return x * (1 + 5e-5 / 9 * sum_pool(x * x, 1, ((1, 1), (1, 1)))) ** -0.75


def dropout(x, key):
    return x if key is None else jnp.where(jax.random.bernoulli(key, 0.5, x.shape), 2 * x, 0)


def classifier(p, x, keys, before):
    """The three fully connected layers; torchvision applies dropout before them, the paper after the first two."""
    first, second, third = p
    # The weights expect channels first.
    x = x.transpose(0, 3, 1, 2).reshape(len(x), -1)
    if before:
        x = jax.nn.relu(dropout(x, keys[0]) @ first[0].T + first[1])
        x = jax.nn.relu(dropout(x, keys[1]) @ second[0].T + second[1])
    else:
        x = dropout(jax.nn.relu(x @ first[0].T + first[1]), keys[0])
        x = dropout(jax.nn.relu(x @ second[0].T + second[1]), keys[1])
    return x @ third[0].T + third[1]


def alexnet(p, x, keys):
    x = max_pool(lrn(jax.nn.relu(conv(x, *p[0], stride=4))))
    x = max_pool(lrn(jax.nn.relu(conv(x, *p[1], pad=2, groups=2))))
    x = jax.nn.relu(conv(x, *p[2], pad=1))
    x = jax.nn.relu(conv(x, *p[3], pad=1, groups=2))
    x = max_pool(jax.nn.relu(conv(x, *p[4], pad=1, groups=2)))
    return classifier(p[5:], x, keys, before=False)


def alexnet_owt(p, x, keys):
    x = max_pool(jax.nn.relu(conv(x, *p[0], stride=4, pad=2)))
    x = max_pool(jax.nn.relu(conv(x, *p[1], pad=2)))
    x = jax.nn.relu(conv(x, *p[2], pad=1))
    x = jax.nn.relu(conv(x, *p[3], pad=1))
    x = max_pool(jax.nn.relu(conv(x, *p[4], pad=1)))
    return classifier(p[5:], x, keys, before=True)


def cifar10_18pct(p, x, keys):
    x = map_norm(jax.nn.relu(max_pool(conv(x, *p[0], pad=2), OVER)))
    x = map_norm(average_pool(jax.nn.relu(conv(x, *p[1], pad=2))))
    x = average_pool(jax.nn.relu(conv(x, *p[2], pad=2)))
    x = x.transpose(0, 3, 1, 2).reshape(len(x), -1)
    return x @ p[3][0].T + p[3][1]


NETS = {"alexnet": alexnet, "alexnet-owt": alexnet_owt, "cifar10-18pct": cifar10_18pct}


def main():
    job = read_job()
    weights, images, labels, logits = read_step(job)
    net = NETS[job["model"]]
    arrays = [jnp.asarray(values) for values in weights.values()]
    parameters = list(zip(arrays[::2], arrays[1::2]))
    x, labels = jnp.asarray(images.transpose(0, 2, 3, 1)), jnp.asarray(labels)

    @jax.jit
    def forward(parameters, x):
        out = net(parameters, x, (None, None))
        return out, jax.nn.softmax(out)

    out = None

    def run_forward():
        nonlocal out
        out, p = forward(parameters, x)
        p.block_until_ready()

    forward_samples = measure(run_forward, job["seconds"])
    error = logits_error(jax.device_get(out), logits)

    def loss_of(parameters, x, labels, keys):
        out = jax.nn.log_softmax(net(parameters, x, keys))
        return -out[jnp.arange(len(labels)), labels].mean()

    # The old weights and velocities are donated, so that the new ones reuse their memory.
    @functools.partial(jax.jit, donate_argnums=(0, 1))
    def train(parameters, velocities, x, labels, key):
        loss, gradients = jax.value_and_grad(loss_of)(parameters, x, labels, jax.random.split(key))
        move = lambda v, g, p: job["momentum"] * v - job["rate"] * (g + job["decay"] * p)
        velocities = jax.tree.map(move, velocities, gradients, parameters)
        return jax.tree.map(jnp.add, parameters, velocities), velocities, loss

    velocities = jax.tree.map(jnp.zeros_like, parameters)
    losses = []

    def run_training():
        nonlocal parameters, velocities
        parameters, velocities, loss = train(parameters, velocities, x, labels, jax.random.key(0))
        jax.block_until_ready(parameters)
        losses.append(loss.item())

    training_samples = measure(run_training, job["seconds"])
    answer(
        f"JAX {jax.__version__}",
        [
            {"name": "training", "samples": training_samples, "losses": losses},
            {"name": "forward", "samples": forward_samples, "error": error},
        ],
    )


main()
