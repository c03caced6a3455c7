"""NumPy: the ops it has; it takes no gradients."""

import numpy as np

from protocol import blas, serve


def repeated(op):
    def run(times):
        for _ in range(times):
            op()

    return op(), run


def softmax(x):
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


serve(
    {"numpy": f"{np.__version__} (1 thread, {blas()})"},
    {
        "matmul": lambda i: repeated(lambda: i["a"] @ i["b"]),
        "matmul-tn": lambda i: repeated(lambda: i["a"].T @ i["b"]),
        "matmul-nt": lambda i: repeated(lambda: i["a"] @ i["b"].T),
        "matmul-tt": lambda i: repeated(lambda: i["a"].T @ i["b"].T),
        "mul": lambda i: repeated(lambda: i["x"] * i["y"]),
        "exp": lambda i: repeated(lambda: np.exp(i["x"])),
        "tanh": lambda i: repeated(lambda: np.tanh(i["x"])),
        "sigmoid": lambda i: repeated(lambda: 1 / (1 + np.exp(-i["x"]))),
        "softmax": lambda i: repeated(lambda: softmax(i["x"])),
    },
)
