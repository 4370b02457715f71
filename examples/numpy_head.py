"""Probabilities from a head that `classify export MODEL -o HEAD.npz` wrote, with NumPy alone.

python examples/numpy_head.py HEAD.npz VECTORS.npy
"""

import sys

import numpy as np

BETWEEN = {"relu": lambda z: np.maximum(z, 0), "tanh": np.tanh, "logistic": lambda z: 1 / (1 + np.exp(-z))}
KERNELS = {
    "linear": lambda h, products, distances: products,
    "poly": lambda h, products, distances: (h["gamma"] * products + h["coef0"]) ** h["degree"],
    "sigmoid": lambda h, products, distances: np.tanh(h["gamma"] * products + h["coef0"]),
    "rbf": lambda h, products, distances: np.exp(-h["gamma"] * distances),
}


def probabilities(h, X):
    """One row per vector, one column per label of `h["labels"]`; the rows of `X` are vectors of `h["features"]`."""
    X = np.where(h["root"], np.sign(X) * np.sqrt(np.abs(X)), X)
    X, k = (X - h["mean"]) / h["scale"], len(h["labels"])
    if "vectors" in h:  # a support vector machine: a score for each pair of labels
        V, C, ends, odds = h["vectors"], h["coefficients"], np.cumsum(h["counts"]), np.ones((len(X), k))
        products = X @ V.T
        K = KERNELS[str(h["kernel"])](h, products, (X**2).sum(1)[:, None] + (V**2).sum(1) - 2 * products)
        mine = [slice(end - count, end) for count, end in zip(h["counts"], ends, strict=True)]
        for number, (i, j) in enumerate(zip(*np.triu_indices(k, 1), strict=True)):
            pair = K[:, mine[i]] @ C[j - 1, mine[i]] + K[:, mine[j]] @ C[i, mine[j]] + h["intercepts"][number]
            pair = (
                h["slope"] * np.clip(pair, -500, 500) * (1 if k > 2 else -1)
            )  # of two labels, for the second
            odds[:, i], odds[:, j] = odds[:, i] + np.exp(-pair), odds[:, j] + np.exp(pair)
        return (1 / odds) / (1 / odds).sum(1, keepdims=True)
    for layer in range(sum(name.startswith("weights_") for name in h)):
        X = (BETWEEN.get(str(h["activation"]), lambda z: z)(X) if layer else X) @ h[f"weights_{layer}"]
        X = X + h[f"biases_{layer}"]
    scores = h["slope"] * (X if k > 2 else np.hstack([np.zeros_like(X), X]))
    scores = np.exp(scores - scores.max(1, keepdims=True))
    return scores / scores.sum(1, keepdims=True)


if __name__ == "__main__":
    head = dict(np.load(sys.argv[1]))
    for row in probabilities(head, np.load(sys.argv[2]).astype(np.float64)):
        print(head["labels"][row.argmax()], f"{row.max():.4f}")
