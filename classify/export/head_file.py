"""The head alone as an ``.npz`` of plain arrays, for programs that have NumPy and the vectors."""

import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from classify.heads.plain import Kernel, Linear, Network, PlainHead, Scaling
from classify.model.model import Model

FORMAT = "bottlehead head 1"


def write_head(path: Path, model: Model, head: PlainHead, about: Mapping[str, Any]) -> None:
    """Write the arrays of a head; no array of objects is among them.

    Of every head: ``format``, ``labels``, ``features`` (what `FeatureTable.select` takes), ``widths``, ``about`` (the
    JSON that lies beside the file), ``slope``, and how each number of a vector is scaled: ``root`` (whether its signed
    square root is taken), ``mean`` and ``scale``. Then either ``activation`` and, layer by layer, ``weights_0``,
    ``biases_0``, …, or of a support vector machine ``kernel``, ``gamma``, ``coef0``, ``degree``, ``counts`` (support
    vectors of each label), ``vectors``, ``coefficients`` and ``intercepts``. With an operating point, ``positive`` and
    ``threshold``.

    With a tree, ``nodes`` (its names, each before those below it), ``above`` (the number of the node above each, -1 for
    the top), ``holds`` (whether a node holds a label: ``holds @ probabilities`` are those of the nodes) and
    ``answer_threshold``: from the top, always into the likeliest branch, the answer is the last node that reaches it.
    """
    width = sum(model.widths)
    scaling = head.scaling or Scaling([width], ["standard"], np.zeros(width), np.ones(width))
    arrays: dict[str, Any] = {
        "format": FORMAT,
        "labels": model.labels,
        "features": model.features,
        "widths": model.widths,
        "about": json.dumps(about),
        "root": np.repeat([method == "root" for method in scaling.methods], scaling.widths),
        "mean": scaling.mean,
        "scale": scaling.scale,
        "slope": head.slope,
    }
    scores = head.scores
    if isinstance(scores, Kernel):
        names = "kernel", "gamma", "coef0", "degree", "counts", "vectors", "coefficients", "intercepts"
        arrays |= {name: getattr(scores, name) for name in names}
    elif isinstance(scores, Linear):
        arrays |= {
            "activation": "identity",
            "weights_0": scores.coefficients.T,
            "biases_0": scores.intercepts,
        }
    else:
        arrays["activation"] = scores.activation
        for number, (weights, biases) in enumerate(zip(scores.weights, scores.biases, strict=True)):
            arrays |= {f"weights_{number}": weights, f"biases_{number}": biases}
    if model.operating_point is not None:
        point = model.operating_point
        arrays |= {"positive": point.positive, "threshold": point.threshold}
    if model.answers is not None:
        tree = model.answers.taxonomy
        arrays |= {"nodes": tree.nodes, "above": tree.parent_of, "holds": tree.holds}
        arrays["answer_threshold"] = model.answers.threshold
    with open(path, "wb") as stream, zipfile.ZipFile(stream, "w", zipfile.ZIP_STORED) as archive:
        for name, array in arrays.items():
            member = zipfile.ZipInfo(f"{name}.npy")  # without a date: the same model gives the same bytes
            with archive.open(member, "w") as inner:
                np.lib.format.write_array(inner, np.asanyarray(array), allow_pickle=False)


def read_head(path: Path) -> PlainHead:
    """The head of a file that `write_head` wrote."""
    with np.load(path) as arrays:
        root = arrays["root"]
        starts = np.append(0, np.flatnonzero(np.diff(root)) + 1)
        widths = np.diff(np.append(starts, len(root))).tolist()
        methods = ["root" if root[start] else "standard" for start in starts]
        scaling = Scaling(widths, methods, arrays["mean"], arrays["scale"])
        scores: Kernel | Network
        if "vectors" in arrays:
            gamma, coef0, degree = (float(arrays[name]) for name in ("gamma", "coef0", "degree"))
            vectors, coefficients, intercepts = (arrays[n] for n in ("vectors", "coefficients", "intercepts"))
            kernel: Any = str(arrays["kernel"])
            counts = arrays["counts"].tolist()
            scores = Kernel(kernel, gamma, coef0, degree, counts, vectors, coefficients, intercepts)
        else:
            n_layers = sum(name.startswith("weights_") for name in arrays)
            weights, biases = (
                [arrays[f"{name}_{i}"] for i in range(n_layers)] for name in ("weights", "biases")
            )
            activation: Any = str(arrays["activation"])
            scores = Network(activation, weights, biases)
        return PlainHead(scores, float(arrays["slope"]), scaling)
