"""The learning curve: accuracy against images per label, and whether more photos would help, and of what."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from classify.folds import Fold, group_keys
from classify.heads.fitting import head_name
from classify.rows import relabelled, usable_rows
from evaluate.provenance import describe_corrections, describe_data, describe_features, describe_folds
from evaluate.report.data_sentences import corrections_in_words, data_warnings
from evaluate.report.html import Reported
from evaluate.results import Advice, CurveMeasurements, CurvePoint, CurveRecord, Gain, Guess, Rise
from evaluate.scores import metrics
from evaluate.scores.crossval import Predictions, all_features, cross_validate
from evaluate.splits.checked_folds import METHODS, stratified_folds
from evaluate.statistics.differences import PairName
from evaluate.statistics.intervals import accuracy_interval, per_image
from evaluate.statistics.power_law import drawn_again, extrapolate, fit_power_law
from featurize.draws import random_bits
from featurize.errors import UsageError
from featurize.table import FeatureTable
from featurize.terminal import log

ADVISED_LABELS = 10
CLEAR_RISE = 0.01
N_ERRORS = 2.0  # by which the largest rise must exceed each other one


class LearningCurve(Reported, CurveRecord):
    """What `learning_curve` found; print it, or write it with `to_dict` and `to_html`.

    Attributes
    ----------
    points : list of CurvePoint
        By size: ``images_per_label`` (that trained a fold, the mean over labels and folds), ``n_training`` (mean number
        of training images), ``accuracy`` (mean, low, high) and ``recall``, the share found by label.
    fit : PowerLaw or None
        The curve ``accuracy = limit - scale * images ** -rate``; None with fewer than four sizes.
    guesses : list of Guess
        Beyond the largest size: ``images_per_label``, ``accuracy``, ``low`` and ``high``. Guesses, not measurements;
        see `evaluate.statistics.power_law.extrapolate` for what the range holds.
    gains : dict of str to Gain
        By label, ``recall`` measured at the largest size, ``guess`` with twice as many of every label, and
        ``gain``, by which the curve rises until then that is fitted to the label's own counts; None with fewer than
        four of these, and where the label has no more photos for the largest size.
    advice : Advice or None
        The ``label`` to photograph more of, None where these photos do not tell, and the ``rises`` that tell it; None
        with fewer than four sizes or more than ten labels.
    model : PairName
        ``features`` and ``head``.
    warnings, data, features, folds, command, date
        As in `Comparison`.
    """


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
        A column, or several joined with ``+``; by default all columns together, without ``nuisance`` and
        ``region=border``.
    head : str or estimator
        Whatever `classify.heads.registry.make_head` takes.
    sizes : sequence of int, optional
        Images per label; by default 5, 10, 20, ... doubled up to all there are. A label with fewer gives what it has.
        Groups go in whole, at least two of each label; sizes that come to the same are one. Larger sizes contain the
        smaller ones. A size too small for the head is left out, with a warning.
    cv, repeats, seed, relabel, jobs
        As in `evaluate.studies.compare.compare`.

    Returns
    -------
    LearningCurve

    Raises
    ------
    UsageError
        If a size is below 2 or beyond the images there are, or as `compare` does.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> y = np.repeat(["cat", "dog"], 50)
    >>> table = FeatureTable.from_arrays({"x": rng.normal(size=(100, 3)) + (y == "dog")[:, None]}, label=y)
    >>> curve = learning_curve(table, "x", sizes=[5, 40], jobs=1)
    >>> [point.images_per_label for point in curve.points]
    [5, 40]
    """
    table = relabelled(table, relabel)
    used = usable_rows(table, "curve")
    names = features or all_features(used)[-1]
    used.select(names)  # an unknown column is refused before the work
    folds = stratified_folds(used, cv=cv, repeats=repeats, seed=seed)
    curve = measured_curve(used, folds, names, head, sizes, seed=seed, jobs=jobs)
    data, described = describe_data(used), describe_features(used, [names])
    corrections = describe_corrections(used)
    return LearningCurve(
        **curve,
        warnings=[
            *data_warnings(data, described),
            *(corrections_in_words(corrections) if corrections and corrections.changed else []),
        ],
        corrections=corrections,
        data=data,
        features=described,
        folds=describe_folds(folds, METHODS["stratified"], used),
        seed=seed,
        table=used,
    )


def measured_curve(
    used: FeatureTable,
    folds: Sequence[Fold],
    features: str,
    head: Any,
    sizes: Sequence[int] | None = None,
    *,
    seed: int = 0,
    jobs: int | None = None,
) -> CurveMeasurements:
    """Train on ever more images per label, always in the same order, and test on the testing sides of `folds`.

    All rows of `used` are labelled, and `folds` speak of them; `sizes` as in `learning_curve`.
    """
    divisions = _divisions(used, folds, _sizes(used, folds, sizes), seed)
    points, rights, counts_by_label = [], [], []
    for size, smaller in divisions.items():
        try:
            found = cross_validate(used, [features], [head], smaller, seed=seed, jobs=jobs, sizes=False)
        except UsageError as error:
            if size == max(divisions):
                raise
            # So few photos may be too few to calibrate or to tune on; the larger sizes are worth having.
            log.warning("%d images per label are left out of the curve: %s", size, error.args[0])
            continue
        points.append(_point(found, size))
        rights.append(_per_image(found)[0])
        counts_by_label.append(_photos_by_label(used, smaller))
    drawn = drawn_again(np.stack(rights, axis=1), _per_image(found)[1])
    counts = [point.n_training / len(set(used.label)) for point in points]
    accuracy = [point.accuracy.mean for point in points]
    fit, largest = fit_power_law(counts, accuracy), points[-1].images_per_label
    guesses = [
        Guess(images_per_label=factor * largest, **extrapolate(counts, accuracy, factor * counts[-1], drawn))
        for factor in (2, 4)
        if fit
    ]
    gains = {
        name: _gain([point.recall[name] for point in points], [one[name] for one in counts_by_label])
        for name in points[-1].recall
    }
    pair, advice = PairName(features, head_name(head)), None
    if fit and len(gains) <= ADVISED_LABELS:
        advice = _advice(found, used, divisions[largest], features, head, seed=seed, jobs=jobs)
    return CurveMeasurements(pair, points, fit, guesses, gains, advice)


def _sizes(used: FeatureTable, folds: Sequence[Fold], sizes: Sequence[int] | None) -> list[int]:
    training = (fold.training[used.variant[fold.training] == 0] for fold in folds)
    most = min(max(Counter(used.label[photos]).values()) for photos in training)
    if sizes is None:
        doubled = [5 * 2**step for step in range(30) if 5 * 2**step < most / 1.3]
        return [*doubled, most]
    whole = all(isinstance(size, int | np.integer) for size in sizes)
    asked = sorted(set(sizes)) if whole else list(sizes)
    if not asked or not whole or asked[0] < 2 or asked[-1] > most:
        raise UsageError(
            f"the sizes {', '.join(map(str, asked)) or 'none'} were asked for, and a fold trains on at most {most} "
            "images of a label",
            f"give whole numbers from 2 to {most}; more folds (--cv) leave more to train on",
        )
    return asked


def _divisions(
    used: FeatureTable, folds: Sequence[Fold], asked: Sequence[int], seed: int
) -> dict[int, list[Fold]]:
    """By images per label, the mean over labels and folds: the folds with so few to train on."""
    numbers = np.unique(used.groups, return_inverse=True)[1]
    keys, found = group_keys(numbers, used.content.tolist()), {}
    for size in asked:
        smaller = [_at_most(fold, used, size, keys[numbers], seed) for fold in folds]
        photos = [int((used.variant[fold.training] == 0).sum()) for fold in smaller]
        found[round(float(np.mean(photos)) / len(set(used.label)))] = smaller
    if len(found) < len(asked):
        log.info("%d sizes were asked for; groups go in whole, which leaves %d", len(asked), len(found))
    return found


def _at_most(fold: Fold, used: FeatureTable, size: int, keys: np.ndarray, seed: int) -> Fold:
    """The fold with whole groups of each label until `size` images are reached, always in the same order.

    Two groups of each label at least, where there are two: without, no head can be calibrated or tuned. `keys` are of
    the group of each row.
    """
    drawn = random_bits(keys, "curve", seed, fold.repeat, fold.fold)
    rank = dict(zip(used.groups.tolist(), drawn.tolist(), strict=True))
    taken: set[int] = set()
    photos = fold.training[used.variant[fold.training] == 0]
    label, groups = used.label[photos], used.groups[photos]
    for name in sorted(set(label.tolist())):
        found, counts = np.unique(groups[label == name], return_counts=True)
        place = np.argsort([rank[group] for group in found])
        enough = int(np.searchsorted(np.cumsum(counts[place]), size)) + 1
        taken.update(found[place][: max(2, enough)].tolist())
    training = fold.training[np.isin(used.groups[fold.training], list(taken))]
    return Fold(fold.repeat, fold.fold, training, fold.testing)


def _per_image(found: Predictions) -> tuple[np.ndarray, np.ndarray]:
    """Per tested image the share of its predictions that are right, and its group."""
    right = (found.label == found.predicted).astype(np.float64)
    return per_image(right, found.rows["row"].to_numpy(), found.rows["group"].to_numpy())


def _point(found: Predictions, size: int) -> CurvePoint:
    scores = metrics.per_label(found.label, found.predicted, found.labels)
    recall = {name: row.recall for name, row in scores.items()}
    return CurvePoint(size, float(found.times["n_training"].mean()), accuracy_interval(found), recall)


def _photos_by_label(used: FeatureTable, folds: Sequence[Fold]) -> dict[str, float]:
    """The mean number of photos of each label that train a fold."""
    labels = [used.label[fold.training][used.variant[fold.training] == 0] for fold in folds]
    counts = Counter(np.concatenate(labels).tolist())
    return {name: count / len(folds) for name, count in counts.items()}


def _gain(recall: Sequence[float], counts: Sequence[float]) -> Gain | None:
    """What twice as many images of all labels may add to the recall of one, from its own counts.

    None where these stand still at the end: what then changes its recall is that the other labels have more.
    """
    if len(counts) > 1 and counts[-1] <= counts[-2]:
        return None
    if fit_power_law(counts, recall) is None:
        return None
    # From the curve to the curve: the luck of the last measurement would pass for a gain.
    now, then = (extrapolate(counts, recall, factor * counts[-1]).accuracy for factor in (1, 2))
    return Gain(recall[-1], then, then - now)


def _advice(
    found: Predictions,
    used: FeatureTable,
    folds: Sequence[Fold],
    features: str,
    head: Any,
    *,
    seed: int,
    jobs: int | None,
) -> Advice:
    """Which label alone to photograph more of, by what happens when its training photos count twice.

    Its tested photos then get a higher probability of their own label, by much where the label is rare or hard. How
    the rises of the labels compare is how the recalls do that twice as many photos bring (simulated in
    ``tests/benchmarks/curve_advice.py``). `found` are the predictions of `folds` as they are.
    """
    before, rises = _own_probability(found), {}
    for name in found.labels:
        twice = [
            replace(fold, training=np.concatenate([fold.training, own]))
            for fold in folds
            if len(own := fold.training[used.label[fold.training] == name])
        ]
        again = cross_validate(used, [features], [head], twice, seed=seed, jobs=jobs, sizes=False)
        own = again.label == name
        rise, groups = per_image(
            (_own_probability(again) - before)[own],
            again.rows["row"].to_numpy()[own],
            again.rows["group"].to_numpy()[own],
        )
        rises[name] = Rise(float(rise.mean()), _standard_error(rise, groups))
    first, *others = sorted(rises, key=lambda name: -rises[name].mean)
    clear = rises[first].mean >= CLEAR_RISE and all(
        rises[first].mean - rises[name].mean > N_ERRORS * np.hypot(rises[first].error, rises[name].error)
        for name in others
    )
    return Advice(first if clear else None, rises)


def _own_probability(found: Predictions) -> np.ndarray:
    """The probability of the true label of each prediction."""
    return found.probabilities[np.arange(len(found)), np.searchsorted(found.labels, found.label.astype(str))]


def _standard_error(values: np.ndarray, groups: np.ndarray) -> float:
    """Of the mean; infinite for one group alone."""
    codes = np.unique(groups, return_inverse=True)[1]
    sums = np.bincount(codes, values - values.mean())
    n = len(sums)
    return float(np.sqrt(n / (n - 1) * np.sum(sums**2)) / len(values)) if n > 1 else float("inf")
