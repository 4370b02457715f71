"""The learning curve: accuracy against images per label, and whether more photos would help, and of what."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from classify.folds import Fold, make_folds
from classify.heads import head_name
from classify.rows import relabelled, usable_rows
from evaluate import metrics
from evaluate.comparison import all_features
from evaluate.crossval import Predictions, cross_validate
from evaluate.methods import with_methods_paragraph
from evaluate.powerlaw import METHOD, drawn_again, extrapolate, fit_power_law
from evaluate.provenance import data_warnings, describe_data, describe_features, versions
from evaluate.statistics import INTERVAL_METHOD, cross_validated_interval, per_image
from featurize.errors import UsageError
from featurize.table import FeatureTable

FORMAT_VERSION = 1


@dataclass
class LearningCurve:
    """What `learning_curve` found; print it, or write it with `to_dict` and `to_html`.

    Attributes
    ----------
    points : list of dict
        By size: ``images_per_label`` (at most so many of each label trained each fold), ``n_training`` (mean number
        of training images), ``accuracy`` (mean, low, high) and ``recall``, the share found by label.
    fit : dict or None
        The curve ``accuracy = limit - scale * images ** -rate``; None with fewer than four sizes.
    guesses : list of dict
        Beyond the largest size: ``images_per_label``, ``accuracy``, ``low`` and ``high``. Guesses, not measurements;
        see `evaluate.powerlaw.extrapolate` for what the range holds.
    gains : dict
        By label, ``recall`` measured at the largest size, ``guess`` with twice as many of every label, and
        ``gain``, by which the fitted curve rises until then; None with fewer than four sizes.
    model : dict
        ``features`` and ``head``.
    """

    points: list[dict[str, Any]]
    fit: dict[str, float] | None
    guesses: list[dict[str, float]]
    gains: dict[str, dict[str, float] | None]
    warnings: list[str]
    data: dict[str, Any]
    features: dict[str, Any]
    model: dict[str, str]
    folds: dict[str, Any]
    seed: int
    table: FeatureTable = field(repr=False)
    command: str = ""

    def __str__(self) -> str:
        from evaluate.curvetext import curve_as_text

        return curve_as_text(self)

    def to_dict(self) -> dict[str, Any]:
        """Everything, ready for JSON; ``format_version`` 1."""
        content = {
            "format_version": FORMAT_VERSION,
            "kind": "curve",
            "model": self.model,
            "points": self.points,
            "fit": self.fit,
            "guesses": self.guesses,
            "gains": self.gains,
            "warnings": self.warnings,
            "data": self.data,
            "features": self.features,
            "folds": self.folds,
            "methods": {"interval": INTERVAL_METHOD, "curve": METHOD},
            "seed": self.seed,
            "versions": versions(),
            "command": self.command,
        }
        return with_methods_paragraph(content)

    def to_html(self, images: str | Path | None = None) -> str:
        """The report, one self-contained page; `images` is there for likeness with the other results."""
        from evaluate.report import render

        return render(self, images)


def learning_curve(
    table: FeatureTable,
    features: str | None = None,
    head: Any = "softmax",
    *,
    sizes: Sequence[int] | None = None,
    cv: int = 5,
    repeats: int = 1,
    seed: int = 0,
    relabel: Mapping[str, str | None] | None = None,
    jobs: int | None = None,
) -> LearningCurve:
    """Train on ever more images per label and test on the same folds: would more photos help, and of which label?

    Parameters
    ----------
    table : FeatureTable
        Rows without a label and rows set aside for testing are left out.
    features : str, optional
        A column, or several joined with ``+``; by default all columns together, without ``nuisance``.
    head : str or estimator
        Whatever `classify.heads.make_head` takes.
    sizes : sequence of int, optional
        Images per label; by default 5, 10, 20, ... doubled up to all there are. A label with fewer gives what it
        has. Groups go in whole, so a size is at least reached, and larger sizes contain the smaller ones.
    cv, repeats, seed, relabel, jobs
        As in `evaluate.comparison.compare`.

    Returns
    -------
    LearningCurve

    Raises
    ------
    UsageError
        If a size is below 2 or beyond the images there are, or as `compare` does.

    Notes
    -----
    On 750 photos of five flowers (Inception v3, mixed8; 5 folds, twice), from 5 to 60 images per label only, the guess
    for 120 was 90.5 % (88.0 to 92.8) with softmax and 90.6 % (87.7 to 92.5) with svm; measured were 89.1 % and
    89.9 %. In 12 such trials, from 30 to 60 images per label to up to three times as many, the range held what was
    measured every time; nine of the guesses were too high, all together by 0.6 points on average.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> y = np.repeat(["cat", "dog"], 50)
    >>> table = FeatureTable.from_arrays({"x": rng.normal(size=(100, 3)) + (y == "dog")[:, None]}, label=y)
    >>> curve = learning_curve(table, "x", sizes=[5, 40], jobs=1)
    >>> [point["images_per_label"] for point in curve.points]
    [5, 40]
    """
    table = relabelled(table, relabel)
    used = usable_rows(table, "compare")
    names = features or all_features(used)[-1]
    used.select(names)  # an unknown column is refused before the work
    folds = make_folds(used.label, used.groups, used.variant, n_folds=cv, repeats=repeats, seed=seed)
    asked = _sizes(used, folds, sizes)
    points, rights = [], []
    for size in asked:
        smaller = [_at_most(fold, used, size, seed) for fold in folds]
        found = cross_validate(used, [names], [head], smaller, seed=seed, jobs=jobs)
        points.append(_point(found, size))
        rows, right = found.rows, found.label == found.predicted
        shares, group = per_image(right.astype(float), rows["row"].to_numpy(), rows["group"].to_numpy())
        rights.append(shares)
    drawn = drawn_again(np.stack(rights, axis=1), group)
    counts = [point["n_training"] / len(set(used.label)) for point in points]
    fit = fit_power_law(counts, [point["accuracy"]["mean"] for point in points])
    largest = counts[-1]
    return LearningCurve(
        points=points,
        fit=fit,
        guesses=[
            {
                "images_per_label": factor * asked[-1],
                **extrapolate(counts, _means(points), factor * largest, drawn),
            }
            for factor in (2, 4)
            if fit
        ],
        gains={name: _gain(points, name, counts) for name in points[-1]["recall"]},
        warnings=data_warnings(used, [names]),
        data=describe_data(used),
        features=describe_features(used, [names]),
        model={"features": names, "head": head_name(head)},
        folds={
            "cv": cv,
            "repeats": repeats,
            "tested": int((used.variant == 0).sum()),
            "method": "stratified; groups and identical images kept together",
        },
        seed=seed,
        table=used,
    )


def _means(points: list[dict[str, Any]]) -> list[float]:
    return [point["accuracy"]["mean"] for point in points]


def _most(used: FeatureTable, fold: Fold) -> int:
    """Images of the commonest label among those that train a fold."""
    photos = fold.training[used.variant[fold.training] == 0]
    return int(np.unique(used.label[photos].astype(str), return_counts=True)[1].max())


def _sizes(used: FeatureTable, folds: Sequence[Fold], sizes: Sequence[int] | None) -> list[int]:
    most = min(_most(used, fold) for fold in folds)
    if sizes is None:
        doubled = [5 * 2**step for step in range(30) if 5 * 2**step < most / 1.3]
        return [*doubled, most]
    asked = sorted(set(sizes))
    if not asked or asked[0] < 2 or asked[-1] > most:
        raise UsageError(
            f"the sizes {', '.join(map(str, asked)) or 'none'} were asked for, and a fold trains on at most {most} "
            "images of a label",
            f"give sizes from 2 to {most}; more folds (--cv) leave more to train on",
        )
    return asked


def _at_most(fold: Fold, used: FeatureTable, size: int, seed: int) -> Fold:
    """The fold with whole groups of each label until `size` images are reached, always in the same order."""
    order = np.random.default_rng([seed, fold.repeat, fold.fold])
    rank = dict(zip(unique := np.unique(used.groups), order.permutation(len(unique)), strict=True))
    taken: set[int] = set()
    photos = fold.training[used.variant[fold.training] == 0]
    label, groups = used.label[photos], used.groups[photos]
    for name in sorted(set(label.tolist())):
        mine = groups[label == name]
        found, counts = np.unique(mine, return_counts=True)
        place = np.argsort([rank[group] for group in found])
        enough = int(np.searchsorted(np.cumsum(counts[place]), size)) + 1
        taken.update(found[place][:enough].tolist())
    training = fold.training[np.isin(used.groups[fold.training], list(taken))]
    return Fold(fold.repeat, fold.fold, training, fold.testing)


def _point(found: Predictions, size: int) -> dict[str, Any]:
    sizes = found.times["n_training"].to_numpy()
    groups = found.rows["group"].to_numpy()
    right, image = found.label == found.predicted, found.rows["row"].to_numpy()
    interval = cross_validated_interval(right, image, groups, len(sizes))
    scores = metrics.per_label(found.label, found.predicted, found.labels)
    return {
        "images_per_label": size,
        "n_training": float(sizes.mean()),
        "accuracy": interval.to_dict(),
        "recall": {name: row["recall"] for name, row in scores.items()},
    }


def _gain(points: list[dict[str, Any]], name: str, counts: list[float]) -> dict[str, float] | None:
    """What twice as many images of all labels may add to the recall of one."""
    recall = [point["recall"][name] for point in points]
    if fit_power_law(counts, recall) is None:
        return None
    # From the curve to the curve: the luck of the last measurement would pass for a gain.
    now, then = (extrapolate(counts, recall, factor * counts[-1])["accuracy"] for factor in (1, 2))
    return {"recall": recall[-1], "guess": then, "gain": then - now}
