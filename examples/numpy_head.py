"""Probabilities from an exported head, by NumPy alone: python numpy_head.py HEAD.npz VECTORS.npy"""

import sys
from itertools import combinations

import numpy as np

BETWEEN = {"relu": lambda z: np.maximum(z, 0), "tanh": np.tanh, "logistic": lambda z: 1 / (1 + np.exp(-z))}
KERNELS = {
    "linear": lambda h, products, distances: products,
    "poly": lambda h, products, distances: (h["gamma"] * products + h["coef0"]) ** h["degree"],
    "sigmoid": lambda h, products, distances: np.tanh(h["gamma"] * products + h["coef0"]),
    "rbf": lambda h, products, distances: np.exp(-h["gamma"] * distances),
}


def probabilities(h, X):
    """A row per vector, a column per label of `h["labels"]`; the rows of `X` are vectors of `h["features"]`."""
    X = (np.where(h["root"], np.sign(X) * np.sqrt(np.abs(X)), X) - h["mean"]) / h["scale"]
    k = len(h["labels"])
    if "vectors" in h:  # a support vector machine has a score for each pair of labels
        V, C, products = h["vectors"], h["coefficients"], X @ h["vectors"].T
        K = KERNELS[str(h["kernel"])](h, products, (X**2).sum(1)[:, None] + (V**2).sum(1) - 2 * products)
        mine = [slice(end - n, end) for n, end in zip(h["counts"], np.cumsum(h["counts"]), strict=True)]
        odds = np.ones((len(X), k))
        for (i, j), intercept in zip(combinations(range(k), 2), h["intercepts"], strict=True):
            pair = K[:, mine[i]] @ C[j - 1, mine[i]] + K[:, mine[j]] @ C[i, mine[j]] + intercept
            pair = np.clip(
                h["slope"] * (pair if k > 2 else -pair), -500, 500
            )  # of two labels, for the second
            odds[:, [i, j]] += np.exp(np.column_stack([-pair, pair]))
        logs = -np.log(odds)
    else:
        for layer in range(sum(name.startswith("weights_") for name in h)):
            X = BETWEEN.get(str(h["activation"]), np.asarray)(X) if layer else X
            X = X @ h[f"weights_{layer}"] + h[f"biases_{layer}"]
        logs = h["slope"] * (X if k > 2 else np.hstack([np.zeros_like(X), X]))
    exponentials = np.exp(logs - logs.max(1, keepdims=True))
    return exponentials / exponentials.sum(1, keepdims=True)


if __name__ == "__main__":
    head = dict(np.load(sys.argv[1]))
    for row in probabilities(head, np.load(sys.argv[2]).astype(np.float64)):
        print(head["labels"][row.argmax()], f"{row.max():.4f}")
