"""Which features and which head are best on these images, and by how much more than luck."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from classify.folds import make_folds
from classify.rows import usable_rows
from evaluate import metrics
from evaluate.crossval import Predictions, cross_validate
from evaluate.provenance import data_warnings, describe_data, describe_features, versions
from evaluate.statistics import (
    COMPARISON_METHOD,
    INTERVAL_METHOD,
    cross_validated_interval,
    paired_difference,
)
from featurize.errors import UsageError
from featurize.table import FeatureTable

FORMAT_VERSION = 1
HEADS = ("softmax", "svm", "mlp")


@dataclass
class Comparison:
    """What `compare` found; print it, or write it with `to_dict` and `to_html`.

    Attributes
    ----------
    results : list of dict
        One per (features, head), best first: accuracy with interval, and the other scores.
    comparisons : list of dict
        Pairs on the same folds: the best of each features against the best of all, and on the best features
        each head against the best one.
    best : dict
        Of the first result: ``confusion``, ``per_label`` and ``misclassified``.
    warnings : list of str
        What to know before believing the numbers.
    data, features, folds : dict
        What they rest on.
    predictions : Predictions
        The tidy table that every number comes from.
    command : str
        The command line, empty when called from Python.
    """

    results: list[dict[str, Any]]
    comparisons: list[dict[str, Any]]
    best: dict[str, Any]
    warnings: list[str]
    data: dict[str, Any]
    features: dict[str, Any]
    folds: dict[str, Any]
    seed: int
    predictions: Predictions = field(repr=False)
    table: FeatureTable = field(repr=False)
    command: str = ""

    def __str__(self) -> str:
        from evaluate.text import comparison_as_text

        return comparison_as_text(self)

    def to_dict(self) -> dict[str, Any]:
        """Everything but the predictions themselves, ready for JSON; ``format_version`` 1."""
        return {
            "format_version": FORMAT_VERSION,
            "kind": "comparison",
            "results": self.results,
            "comparisons": self.comparisons,
            "best": self.best,
            "warnings": self.warnings,
            "data": self.data,
            "features": self.features,
            "folds": self.folds,
            "methods": {"interval": INTERVAL_METHOD, "comparison": COMPARISON_METHOD},
            "seed": self.seed,
            "versions": versions(),
            "command": self.command,
        }

    def to_html(self, images: str | Path | None = None) -> str:
        """The report, one self-contained page; `images` is the folder of the photos, when they have moved."""
        from evaluate.report import render

        return render(self, images)


def compare(
    table: FeatureTable,
    features: Sequence[str] | None = None,
    heads: Sequence[Any] = HEADS,
    *,
    cv: int = 5,
    repeats: int = 1,
    seed: int = 0,
    relabel: Mapping[str, str | None] | None = None,
    jobs: int | None = None,
) -> Comparison:
    """Cross-validate every head on every features, over the same folds, and say which is better by how much.

    Parameters
    ----------
    table : FeatureTable
        Rows without a label and rows set aside for testing are left out.
    features : sequence of str, optional
        Columns, or several joined with ``+``. By default every column and, when there are several, all of
        them together.
    heads : sequence of str or estimator
        Registered names with parameters (``"svm:C=10"``), dotted paths, or scikit-learn classifiers.
    cv : int
        Number of folds. Groups and byte-identical images stay together.
    repeats : int
        How often to divide into folds anew.
    seed : int
        Start of all randomness: the same seed gives the same numbers, whatever `jobs` is.
    relabel : mapping, optional
        New label by label; None or empty text drops the class.
    jobs : int, optional
        Processes; by default one per processor.

    Returns
    -------
    Comparison

    Raises
    ------
    UsageError
        If features or heads are unknown, there is one label only, a label has fewer images than folds, or
        a head fails.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> y = np.repeat(["cat", "dog"], 20)
    >>> X = rng.random((40, 4)) + (y == "dog")[:, None]
    >>> table = FeatureTable.from_arrays({"good": X, "noise": rng.random((40, 2))}, label=y)
    >>> found = compare(table, ["good", "noise"], ["softmax"], jobs=1)
    >>> found.results[0]["features"], found.results[0]["accuracy"]["mean"]
    ('good', 1.0)
    """
    if isinstance(features, str) or isinstance(heads, str):
        raise UsageError("features and heads are lists", 'write features=["glcm"], heads=["svm"]')
    if relabel is not None:
        table = table.relabel(relabel)
    names = list(features) if features is not None else _all_features(table)
    used = usable_rows(table, "compare")
    used_parts = {part for name in names for part in used.parts(name)}
    used = FeatureTable(used.ids, {n: v for n, v in used.vectors.items() if n in used_parts}, used.metadata)
    folds = make_folds(used.label, used.groups, used.variant, n_folds=cv, repeats=repeats, seed=seed)
    predictions = cross_validate(used, names, heads, folds, seed=seed, jobs=jobs)
    results = [_score(predictions.of(*pair), *pair) for pair in predictions.pairs()]
    results.sort(key=lambda row: (-row["accuracy"]["mean"], row["log_loss"]))
    return Comparison(
        results=results,
        comparisons=_comparisons(results, predictions),
        best=_details(predictions.of(results[0]["features"], results[0]["head"])),
        warnings=[*data_warnings(used, names), *_complaints(predictions)],
        data=describe_data(used),
        features=describe_features(used, names),
        folds={
            "cv": cv,
            "repeats": repeats,
            "method": "stratified; groups and identical images kept together",
        },
        seed=seed,
        predictions=predictions,
        table=used,
    )


def _all_features(table: FeatureTable) -> list[str]:
    if not table.features:
        raise UsageError("the table has no features", "run `featurize extract` with the --features wanted")
    return table.features + (["+".join(table.features)] if len(table.features) > 1 else [])


def _score(mine: Predictions, features: str, head: str) -> dict[str, Any]:
    """One row of the results, from the predictions of one pair."""
    label, predicted, times = mine.label, mine.predicted, mine.times
    interval = cross_validated_interval(
        label == predicted, _fold_numbers(mine), mine.rows["group"].to_numpy(), times["n_training"].to_numpy()
    )
    return {
        "features": features,
        "head": head,
        "accuracy": interval.to_dict(),
        "balanced_accuracy": metrics.balanced_accuracy(label, predicted),
        "macro_f1": metrics.macro_f1(label, predicted),
        "log_loss": metrics.log_loss(label, mine.probabilities, mine.labels),
        "fit_seconds": float(times["fit_seconds"].mean()),
        "predict_seconds_per_image": float(times["predict_seconds"].sum() / times["n_testing"].sum()),
        "accuracy_per_fold": _fold_accuracies(mine).tolist(),
        "per_label": metrics.per_label(label, predicted, mine.labels),
    }


def _fold_numbers(mine: Predictions) -> np.ndarray:
    """Per prediction, the position of its fold in ``mine.times``."""
    return np.repeat(np.arange(len(mine.times)), mine.times["n_testing"].to_numpy())


def _fold_accuracies(mine: Predictions) -> np.ndarray:
    return np.bincount(_fold_numbers(mine), mine.label == mine.predicted) / mine.times["n_testing"].to_numpy()


def _comparisons(results: list[dict[str, Any]], predictions: Predictions) -> list[dict[str, Any]]:
    best = results[0]
    others = []
    for name in dict.fromkeys(row["features"] for row in results):
        if name != best["features"]:
            others.append(("features", next(row for row in results if row["features"] == name)))
    others += [("head", row) for row in results[1:] if row["features"] == best["features"]]
    return [_pair(kind, best, other, predictions) for kind, other in others]


def _pair(kind: str, one: dict, other: dict, predictions: Predictions) -> dict[str, Any]:
    from evaluate.text import difference_in_words

    mine, its = (predictions.of(row["features"], row["head"]) for row in (one, other))
    times = mine.times
    found = paired_difference(
        _fold_accuracies(mine),
        _fold_accuracies(its),
        times["n_testing"].to_numpy(),
        times["n_training"].to_numpy(),
    )
    names = [{"features": row["features"], "head": row["head"]} for row in (one, other)]
    content = {"compares": kind, "one": names[0], "other": names[1], **found.to_dict()}
    return {**content, "words": difference_in_words(content)}


def _details(mine: Predictions) -> dict[str, Any]:
    return {
        "confusion": metrics.confusion(mine.label, mine.predicted, mine.labels),
        "per_label": metrics.per_label(mine.label, mine.predicted, mine.labels),
        "misclassified": misclassified(mine),
    }


def misclassified(mine: Predictions) -> list[dict[str, Any]]:
    """The images that were predicted wrong, the surest first; with repeats by the mean of the probabilities.

    Returns
    -------
    list of dict
        ``image``, ``label``, ``predicted`` and ``confidence`` (probability of the predicted label).
    """
    rows, places = np.unique(mine.rows["row"].to_numpy(), return_inverse=True)
    total = np.zeros((len(rows), len(mine.labels)))
    np.add.at(total, places, mine.probabilities)
    mean = total / np.bincount(places)[:, None]
    first = np.unique(places, return_index=True)[1]
    image, label = mine.rows["image"].to_numpy()[first], mine.label[first]
    return wrong_rows(image, label, mean, mine.labels)


def wrong_rows(
    image: np.ndarray, label: np.ndarray, probabilities: np.ndarray, labels: Sequence[str]
) -> list[dict[str, Any]]:
    """``image, label, predicted, confidence`` of the wrong ones, the surest first, then by name."""
    predicted = metrics.most_probable(probabilities, labels)
    wrong = [
        {"image": str(i), "label": str(t), "predicted": str(p), "confidence": float(c)}
        for i, t, p, c in zip(image, label, predicted, probabilities.max(axis=1), strict=True)
        if t != p
    ]
    return sorted(wrong, key=lambda row: (-row["confidence"], row["image"]))


def _complaints(predictions: Predictions) -> list[str]:
    """What the heads warned of while fitting, each once, with the number of fits concerned."""
    counts: dict[tuple[str, str, str], int] = {}
    for row in predictions.times.to_dict("records"):
        for text in row["complaints"]:
            key = (row["head"], row["features"], text)
            counts[key] = counts.get(key, 0) + 1
    n_folds = len(predictions.times) // len(predictions.pairs())
    return [f"{h} on {f}: {text} ({n} of {n_folds} fits)" for (h, f, text), n in sorted(counts.items())]
