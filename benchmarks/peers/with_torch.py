"""PyTorch, eagerly, on one thread."""

import torch
import torch.nn.functional as F
from torch import nn

from protocol import blas, serve

torch.set_num_threads(1)

BATCH = 32
COMPARED = 10


def batches(values):
    return torch.from_numpy(values).split(BATCH)


def linear(inputs, id):
    w, b = torch.from_numpy(inputs["w" + id]), torch.from_numpy(inputs["b" + id])
    layer = nn.Linear(*w.shape)
    with torch.no_grad():
        layer.weight.copy_(w.T)
        layer.bias.copy_(b)
    return layer


def training(layers, count, loss_of):
    optimizer = torch.optim.Adam(nn.ModuleList(layers).parameters(), lr=0.001, betas=(0.9, 0.999), eps=1e-7)
    at = 0

    def step():
        nonlocal at
        optimizer.zero_grad()
        loss = loss_of(at)
        loss.backward()
        optimizer.step()
        at = (at + 1) % count
        return loss.item()

    def run(times):
        for _ in range(times):
            step()

    return [step() for _ in range(COMPARED)], run


def b1(inputs):
    x1, x2, y = (batches(inputs[name]) for name in ("x1", "x2", "y"))
    d1, d2, d3 = (linear(inputs, id) for id in "123")

    def loss_of(i):
        h = torch.cat([F.relu(d1(x1[i])), F.relu(d2(x2[i]))], 1)
        return F.mse_loss(d3(h), y[i])

    return training([d1, d2, d3], len(y), loss_of)


def b3(inputs):
    x, ya, yb, yc = (batches(inputs[name]) for name in ("x", "yA", "yB", "yC"))
    d1, d2, d3, a, b, c = layers = [linear(inputs, id) for id in "123ABC"]

    def loss_of(i):
        h2 = F.relu(d2(F.relu(d1(x[i]))))
        h3 = F.relu(d3(h2))
        loss = F.mse_loss(a(h2), ya[i])
        loss = loss + F.binary_cross_entropy_with_logits(b(h3), yb[i])
        return loss + F.cross_entropy(c(torch.cat([h2, h3], 1)), yc[i])

    return training(layers, len(x), loss_of)


def op(f, *names):
    def program(inputs):
        operands = [torch.from_numpy(inputs[name]) for name in names]

        def run(times):
            with torch.no_grad():
                for _ in range(times):
                    f(*operands)

        return f(*operands).numpy(), run

    return program


serve(
    {"torch": f"{torch.__version__} (1 thread, {blas()})"},
    {
        "b1": b1,
        "b3": b3,
        "b1-train": b1,
        "b3-train": b3,
        "matmul": op(torch.matmul, "a", "b"),
        "mul": op(torch.mul, "x", "y"),
        "exp": op(torch.exp, "x"),
        "tanh": op(torch.tanh, "x"),
        "softmax": op(lambda x: torch.softmax(x, -1), "x"),
    },
)
