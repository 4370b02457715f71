"""Somebody's trained TensorFlow for Poets graph as a model: its frozen part the extractor, its last layer the head."""

import datetime
import hashlib
import importlib.metadata
import os
from pathlib import Path
from typing import Any

import numpy as np

from classify.model.model import Model
from featurize.errors import ModelError, UsageError
from featurize.extractors.base import golden_image
from featurize.files import is_readable
from featurize.networks.graph_extractor import FrozenGraph
from featurize.networks.graph_file import constant_values, trained_layer
from featurize.photos.photo import Photo
from featurize.remote import path_here


def import_graph(graph: str | os.PathLike, labels: str | os.PathLike, **options: Any) -> Model:
    """A model that gives the probabilities that a graph of retrain.py gives, a frozen network and the layer it trained.

    `labels` has one label a line, in the order of the outputs; `options` are those of `FrozenGraph`. A ModelError where
    retrain.py has trained no layer of the graph, or the labels do not fit it; a WeightsError where the graph is
    missing, or does more than compute (nothing of it is run then).
    """
    extractor = FrozenGraph(graph, parity="retrain", **options)
    nodes = extractor.graph()
    layer = trained_layer(nodes)
    if layer is None:
        hint = "give a retrained_graph.pb; for a network alone, use it with `featurize extract --features FILE.pb`"
        raise ModelError(f"{graph} holds no layer that retrain.py trained", hint)
    try:
        weights, biases = constant_values(nodes[layer.weights]), constant_values(nodes[layer.biases])
    except ValueError as error:
        raise ModelError(f"{graph} cannot be read: {error}", "it may be a quantized graph") from error
    names = _read_labels(path_here(labels, "the labels of a graph are read from"))
    if len(names) != len(biases):
        hint = "give the labels file that retrain.py wrote together with the graph"
        raise ModelError(f"{labels} holds {len(names)} labels, and {graph} tells {len(biases)} apart", hint)
    golden = extractor.vectors([extractor.prepare(Photo.from_array(golden_image()))])[0]
    if not (np.isfinite(weights).all() and np.isfinite(biases).all()):
        what = f"{graph} cannot be used: weights of its trained layer are not finite (NaN or infinity)"
        raise ModelError(what, "its training went astray; train again, with a smaller learning rate")
    described = {extractor.name: extractor.record(golden)}
    summary = _summary(Path(graph), names)
    return Model(_head(weights, biases, names), extractor.name, [len(golden)], described, training=summary)


def _read_labels(path: Path) -> list[str]:
    hint = "give the text file with one label a line"
    if not is_readable(path, UsageError):
        raise UsageError(f"there is no labels file {path}", hint)
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError:
        raise UsageError(f"{path} is no text in UTF-8", hint) from None
    names: dict[str, int] = {}
    for number, name in enumerate(map(str.strip, lines), start=1):
        if name in names:
            twice = f"{path} names {name} twice, in line {names[name]} and again in line {number}"
            raise UsageError(twice, "give each label one line")
        if name:
            names[name] = number
    return list(names)


def _head(weights: np.ndarray, biases: np.ndarray, names: list[str]) -> Any:
    """softmax(x @ weights + biases) as scikit-learn has it."""
    from sklearn.linear_model import LogisticRegression

    order = np.argsort(names)
    coefficients, intercepts = weights.T[order].astype(np.float64), biases[order].astype(np.float64)
    if len(names) == 2:
        # Two labels have one score there: how much more the second one has.
        coefficients, intercepts = np.diff(coefficients, axis=0), np.diff(intercepts)
    head = LogisticRegression()
    head.classes_, head.n_features_in_ = np.array(names)[order], coefficients.shape[1]
    head.coef_, head.intercept_ = coefficients, intercepts
    head.n_iter_ = np.zeros(1, dtype=np.int32)
    return head


def _summary(graph: Path, names: list[str]) -> dict[str, Any]:
    return {
        "head": f"softmax, trained by retrain.py ({graph.name})",
        "imported": {"graph": graph.name, "sha256": hashlib.sha256(graph.read_bytes()).hexdigest()},
        "photos_per_label": dict.fromkeys(sorted(names)),
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "versions": {"bottlehead": importlib.metadata.version("bottlehead")},
    }
