"""PyTorch, eagerly, on one thread."""

import torch
import torch.nn.functional as F
from torch import nn

from protocol import blas, serve

torch.set_num_threads(1)

BATCH = 32
COMPARED = 10


def batches(values, batch=BATCH):
    return torch.from_numpy(values).split(batch)


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


def b2(inputs):
    x, ids, y = batches(inputs["x"]), batches(inputs["id"].astype("int64")), batches(inputs["y"])
    first, last = linear(inputs, "1"), linear(inputs, "2")
    table = nn.Embedding.from_pretrained(torch.from_numpy(inputs["table"]), freeze=False)

    def loss_of(i):
        h = torch.cat([F.relu(first(x[i])), table(ids[i]).flatten(1)], 1)
        return F.binary_cross_entropy_with_logits(last(h), y[i])

    return training([first, table, last], len(y), loss_of)


def b4(inputs):
    x, y = batches(inputs["x"], 128), batches(inputs["y"], 128)
    d1, d2, d3 = layers = [linear(inputs, id) for id in "123"]

    def loss_of(i):
        return F.cross_entropy(d3(F.relu(d2(F.relu(d1(x[i]))))), y[i])

    return training(layers, len(y), loss_of)


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


def adam(inputs):
    w, g = (torch.from_numpy(inputs[name]).tile(100) for name in "wg")
    w = nn.Parameter(w)
    w.grad = g
    optimizer = torch.optim.Adam([w], lr=0.001, betas=(0.9, 0.999), eps=1e-7)

    def run(times):
        for _ in range(times):
            optimizer.step()

    run(COMPARED)
    return w.detach()[: len(inputs["w"])].numpy().copy(), run


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
        **{f"b1-{way}": b1 for way in ("eager", "plan", "train")},
        **{f"b2-{way}": b2 for way in ("plan", "train")},
        **{f"b3-{way}": b3 for way in ("eager", "plan", "train")},
        "b4-plan": b4,
        "matmul": op(torch.matmul, "a", "b"),
        "matmul-tn": op(lambda a, b: a.T @ b, "a", "b"),
        "matmul-nt": op(lambda a, b: a @ b.T, "a", "b"),
        "matmul-tt": op(lambda a, b: a.T @ b.T, "a", "b"),
        "mul": op(torch.mul, "x", "y"),
        "exp": op(torch.exp, "x"),
        "tanh": op(torch.tanh, "x"),
        "sigmoid": op(torch.sigmoid, "x"),
        "adam": adam,
        "softmax": op(lambda x: torch.softmax(x, -1), "x"),
    },
)
