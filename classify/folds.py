"""Stratified folds that keep groups together, for tuning, calibration, thresholds and evaluation."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike

from featurize.errors import UsageError


@dataclass(frozen=True, eq=False)
class Fold:
    """One division of the rows, counted from 0 by repeat and fold of it, into a training side and a testing side.

    `training` and `testing` are row numbers, int64, ascending. No group is on both; every testing row has variant 0.
    """

    repeat: int
    fold: int
    training: np.ndarray
    testing: np.ndarray


def make_folds(
    label: ArrayLike,
    groups: ArrayLike | None = None,
    variant: ArrayLike | None = None,
    *,
    n_folds: int = 5,
    repeats: int = 1,
    seed: int = 0,
) -> list[Fold]:
    """Stratified folds that keep groups together.

    Photos of one leaf, one patient or one burst of the shutter resemble each other more than they resemble the photos
    to come. Plain k-fold puts some into training and their siblings into testing, and so rewards recognition of the
    leaf instead of its disease [1]_. Here a group is on one side only, and within that limit each fold has the labels
    in the same proportions as the whole (`sklearn.model_selection.StratifiedGroupKFold`).

    Parameters
    ----------
    label : sequence of shape (n_rows,)
        None may be null.
    groups : sequence of int, shape (n_rows,), optional
        Rows with equal integers stay on the same side: `FeatureTable.groups`. By default each row is alone.
    variant : sequence of int, shape (n_rows,), optional
        Rows other than 0 (distorted copies) are never tested, and train only while their group does.
    n_folds : int
        How many folds each repeat has, 2 or more.
    repeats : int
        How often to divide anew, each time shuffled otherwise.
    seed : int
        The same seed gives the same folds on every machine.

    Returns
    -------
    list of Fold
        ``repeats * n_folds`` of them. In each repeat every row of variant 0 is tested exactly once.

    Raises
    ------
    UsageError
        If a label stands in fewer groups than there are folds, or a training side would lack a label.

    References
    ----------
    .. [1] D. R. Roberts et al., "Cross-validation strategies for data with temporal, spatial, hierarchical,
       or phylogenetic structure", Ecography 40 (2017), https://doi.org/10.1111/ecog.02881

    Examples
    --------
    >>> label = ["rust", "rust", "rust", "rust", "well", "well", "well", "well"]
    >>> leaf = [0, 0, 1, 1, 2, 2, 3, 3]
    >>> for fold in make_folds(label, leaf, n_folds=2):
    ...     print(*("test" if row in fold.testing else "train" for row in range(8)))
    test test train train train train test test
    train train test test test test train train
    """
    for what, given, least in (("folds", n_folds, 2), ("repeats", repeats, 1), ("seed", seed, 0)):
        if given < least:
            asked = f"{what} {given} was" if what == "seed" else f"{given} {what} were"
            hint = f"give {least} or more" + " (5 and 10 are usual)" * (what == "folds")
            raise UsageError(f"{asked} asked for", hint)
    labels, group, photos = _checked(label, groups, variant)
    _refuse_rare_labels(labels[photos], group[photos], n_folds)
    folds = []
    for repeat in range(repeats):
        shuffling = int(np.random.SeedSequence([seed, repeat]).generate_state(1)[0])
        for number, tested in enumerate(_divide(labels[photos], group[photos], n_folds, shuffling)):
            testing = photos[tested]
            training = np.flatnonzero(~np.isin(group, group[testing]))
            _refuse_lost_labels(labels, training, n_folds, number)
            folds.append(Fold(repeat, number, training, testing))
    return folds


def fewest_groups(
    label: ArrayLike, groups: ArrayLike | None, variant: ArrayLike | None = None
) -> tuple[str, int]:
    """The label that stands in the fewest groups, and in how many: no more folds than that can be made."""
    labels, group, photos = _checked(label, groups, variant)
    counts = {name: len(np.unique(group[photos][labels[photos] == name])) for name in np.unique(labels)}
    return min(((str(name), count) for name, count in counts.items()), key=lambda pair: pair[1])


def _divide(label: np.ndarray, groups: np.ndarray, n_folds: int, shuffling: int) -> list[np.ndarray]:
    from sklearn.model_selection import StratifiedKFold

    codes = np.unique(label, return_inverse=True)[1]
    numbers = np.unique(groups, return_inverse=True)[1]
    if numbers.max(initial=-1) + 1 < len(groups):
        return _divide_groups(codes.tobytes(), numbers.tobytes(), n_folds, shuffling)
    # Where no two photos belong together the plain splitter gives exact counts, and is fast at any size.
    divisions = StratifiedKFold(n_folds, shuffle=True, random_state=shuffling).split(codes, codes)
    return [np.sort(testing) for _, testing in divisions]


@lru_cache(maxsize=8)
def _divide_groups(codes: bytes, groups: bytes, n_folds: int, shuffling: int) -> list[np.ndarray]:
    """Kept, because groups are slow to divide, and every candidate of a search calibrates on the same folds."""
    from sklearn.model_selection import StratifiedGroupKFold

    label, group = np.frombuffer(codes, dtype=np.intp), np.frombuffer(groups, dtype=np.intp)
    # To renumber the groups is what `shuffle=True` does in scikit-learn 1.9, fold for fold. In 1.7 that shuffles what
    # the groups hold and not the groups: proportions are lost, and among groups alike no seed changes a fold.
    order = np.arange(group.max() + 1)
    np.random.RandomState(shuffling).shuffle(order)
    shuffled = np.argsort(order)[group]
    return [np.sort(testing) for _, testing in StratifiedGroupKFold(n_folds).split(label, label, shuffled)]


def _checked(
    label: ArrayLike, groups: ArrayLike | None, variant: ArrayLike | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Labels as text, groups, and the numbers of the rows of variant 0."""
    label = np.asarray(label, dtype=object)
    groups = np.arange(len(label)) if groups is None else np.asarray(groups)
    variant = np.zeros(len(label), dtype=np.int64) if variant is None else np.asarray(variant)
    if not len(label) == len(groups) == len(variant):
        counts = f"{len(label)} labels, {len(groups)} groups and {len(variant)} variants"
        raise UsageError(f"{counts} were given", "give one of each per row")
    unknown = sum(one is None for one in label)
    if unknown:
        hint = "leave them out before making folds"
        raise UsageError(f"{unknown} of {len(label)} rows have no label", hint)
    return label.astype(str), groups, np.flatnonzero(variant == 0)


def _refuse_rare_labels(label: np.ndarray, groups: np.ndarray, n_folds: int) -> None:
    for name in np.unique(label):
        rows = label == name
        n_groups = len(np.unique(groups[rows]))
        if n_groups < n_folds:
            n_images = int(rows.sum())
            images, more = f"{n_images} image{'s' * (n_images != 1)}", f"add photos of {name}"
            if n_groups != n_images:
                images += f" in {n_groups} group{'s' * (n_groups != 1)}"
                more += " in other groups (groups that share a byte-identical photo count as one)"
            fewer = f"use at most {n_groups} folds, " if n_groups > 1 else ""
            hint = f"{fewer}{more}, or drop it with a relabelling"
            raise UsageError(f"{n_folds} folds cannot be made: {name} has {images}", hint)


def _refuse_lost_labels(label: np.ndarray, training: np.ndarray, n_folds: int, number: int) -> None:
    lost = sorted(set(label.tolist()) - set(label[training].tolist()))
    if lost:
        why = f"training without fold {number} leaves no {', '.join(lost)}, because its groups are few and large"
        hint = "use fewer folds, another seed, or smaller groups"
        raise UsageError(f"{n_folds} folds cannot be made: {why}", hint)
