"""Labels of vectors by an exported head and NumPy alone: python numpy_head.py HEAD.npz TABLE.npz"""

import sys
from itertools import combinations

import numpy as np

SHAPES = {"relu": lambda z: np.maximum(z, 0), "tanh": np.tanh, "logistic": lambda z: 1 / (1 + np.exp(-z))}


def kernel(h, X):
    products, squares = X @ h["vectors"].T, (X**2).sum(1)[:, None] + (h["vectors"] ** 2).sum(1)
    if h["kernel"] == "rbf":
        return np.exp(-h["gamma"] * (squares - 2 * products))
    bent = h["gamma"] * products + h["coef0"]
    return {"linear": products, "poly": bent ** h["degree"], "sigmoid": np.tanh(bent)}[str(h["kernel"])]


def probabilities(h, X):
    """A row per vector, a column per label of `h["labels"]`; the rows of `X` are vectors of `h["features"]`."""
    X = (np.where(h["root"], np.sign(X) * np.sqrt(np.abs(X)), X) - h["mean"]) / h["scale"]
    k = len(h["labels"])
    if "vectors" in h:  # a support vector machine has a score for each pair of labels
        K, C, odds = kernel(h, X), h["coefficients"], np.ones((len(X), k))
        mine = np.split(np.arange(len(h["vectors"])), np.cumsum(h["counts"])[:-1])
        for (i, j), intercept in zip(combinations(range(k), 2), h["intercepts"], strict=True):
            pair = K[:, mine[i]] @ C[j - 1, mine[i]] + K[:, mine[j]] @ C[i, mine[j]] + intercept
            pair = np.clip(h["slope"] * (pair if k > 2 else -pair), -500, 500)  # of two, it is of the second
            odds[:, [i, j]] += np.exp(np.column_stack([-pair, pair]))
        shares = 1 / odds
    else:
        for n in range(sum(name.startswith("weights_") for name in h)):
            X = SHAPES.get(str(h["activation"]), np.asarray)(X) if n else X
            X = X @ h[f"weights_{n}"] + h[f"biases_{n}"]
        logs = h["slope"] * (X if k > 2 else np.hstack([np.zeros_like(X), X]))
        shares = np.exp(logs - logs.max(1, keepdims=True))
    return shares / shares.sum(1, keepdims=True)


if __name__ == "__main__":
    head, table = dict(np.load(sys.argv[1])), np.load(sys.argv[2])
    X = np.hstack([table[name] for name in str(head["features"]).split("+")]).astype(np.float64)
    for image, row in zip(table["image"], probabilities(head, X), strict=True):
        print(image, head["labels"][row.argmax()], f"{row.max():.4f}")
