"""Stratified folds that keep groups together, for tuning, calibration, thresholds and evaluation.

What divides is our own, in whole numbers alone: the same content and seed give the same folds under every version of
every library.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike

from featurize.draws import content_keys, random_bits
from featurize.errors import UsageError
from featurize.id_columns import is_missing

WEIGHT_BITS = 50  # of a label's weight: no sum over fewer than 8,192 labels reaches 2 ** 63


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
    content: ArrayLike | None = None,
) -> list[Fold]:
    """Stratified folds that keep groups together.

    Photos of one leaf, one patient or one burst of the shutter resemble each other more than they resemble the photos
    to come. Plain k-fold puts some into training and their siblings into testing, and so rewards recognition of the
    leaf instead of its disease [1]_. Here a group is on one side only, and within that limit each fold has the labels
    in the same proportions as the whole: without groups exactly, as in `sklearn.model_selection.StratifiedKFold`, with
    groups as nearly as in `sklearn.model_selection.StratifiedGroupKFold`.

    Parameters
    ----------
    label : sequence of shape (n_rows,)
        None may be null.
    groups : sequence of shape (n_rows,), optional
        Rows with equal values stay on the same side, such as the integers of `FeatureTable.groups`, or names. By
        default each row is alone, and so is one whose group is missing.
    variant : sequence of int, shape (n_rows,), optional
        Rows other than 0 (distorted copies) are never tested, and train only while their group does.
    n_folds : int
        How many folds each repeat has, 2 or more.
    repeats : int
        How often to divide anew, each time shuffled otherwise.
    seed : int
        The same seed gives the same folds on every machine and under every version of the libraries.
    content : sequence of str, shape (n_rows,), optional
        What each row is, such as the SHA-256 of its image: the folds then follow from content, whatever the order of
        the rows and the numbers of the groups (`FeatureTable.content`). By default groups go by their order.

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
    test test train train test test train train
    train train test test train train test test
    """
    for what, given, least in (("folds", n_folds, 2), ("repeats", repeats, 1), ("seed", seed, 0)):
        if not isinstance(given, int | np.integer) or given < least:
            asked = f"{what} {given} was" if what == "seed" else f"{given} {what} were"
            hint = f"give a whole number, {least} or more" + " (5 and 10 are usual)" * (what == "folds")
            raise UsageError(f"{asked} asked for", hint)
    labels, group, photos = _checked(label, groups, variant)
    _refuse_rare_labels(labels[photos], group[photos], n_folds)
    codes = np.unique(labels[photos], return_inverse=True)[1]
    names, numbers = np.unique(group[photos], return_inverse=True)
    keys = np.arange(len(names))
    if content is not None:
        keys = group_keys(numbers, np.asarray(content, dtype=object)[photos].tolist())
    folds = []
    for repeat in range(repeats):
        fold_of = _divide(codes.tobytes(), numbers.tobytes(), keys.tobytes(), n_folds, seed, repeat)[numbers]
        for number in range(n_folds):
            testing = photos[fold_of == number]
            training = np.flatnonzero(~np.isin(group, group[testing]))
            _refuse_lost_labels(labels, training, n_folds, number)
            folds.append(Fold(repeat, number, training, testing))
    return folds


def group_numbers(groups: ArrayLike) -> np.ndarray:
    """Whole numbers for groups of any type, equal for equal groups; each row without a group has its own.

    >>> group_numbers(["leaf 2", None, "leaf 1", "leaf 2", None]).tolist()
    [0, 1, 2, 0, 3]
    """
    values = np.asarray(groups)
    if values.ndim != 1:
        raise UsageError(
            f"groups of shape {values.shape} were given", "give one group per row, such as a number"
        )
    if values.dtype.kind in "iub":
        return values
    numbers: dict[object, int] = {}
    keys = [object() if is_missing(one) else one for one in values.tolist()]
    return np.array([numbers.setdefault(key, len(numbers)) for key in keys], dtype=np.int64)


def group_keys(groups: np.ndarray, content: list[str]) -> np.ndarray:
    """A number for each group, uint64, that follows from the content of its rows; `groups` are 0, 1, 2, ..."""
    keys = np.full(int(groups.max(initial=-1)) + 1, np.iinfo(np.uint64).max)
    np.minimum.at(keys, groups, content_keys(content))
    return keys


def fewest_groups(
    label: ArrayLike, groups: ArrayLike | None, variant: ArrayLike | None = None
) -> tuple[str, int]:
    """The label that stands in the fewest groups, and in how many: no more folds than that can be made."""
    labels, group, photos = _checked(label, groups, variant)
    names, counts = _groups_of_labels(labels[photos], group[photos])
    least = counts.argmin()
    return str(names[least]), int(counts[least])


def _groups_of_labels(labels: np.ndarray, groups: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The labels in order, and in how many groups each stands; no loop, for there may be thousands of labels."""
    names, codes = np.unique(labels, return_inverse=True)
    numbers = np.unique(groups, return_inverse=True)[1]
    pairs = np.unique(codes.astype(np.int64) * len(labels) + numbers)
    return names, np.bincount(pairs // max(1, len(labels)), minlength=len(names))


@lru_cache(maxsize=16)
def _divide(codes: bytes, numbers: bytes, keys: bytes, n_folds: int, seed: int, repeat: int) -> np.ndarray:
    """The fold of each group: of int64 labels and groups per photo, and of the group's keys.

    Kept, because every candidate of a search calibrates on the same folds.
    """
    label, group = np.frombuffer(codes, dtype=np.int64), np.frombuffer(numbers, dtype=np.int64)
    place = random_bits(np.frombuffer(keys, dtype=np.uint64), "folds", seed, repeat)
    if len(place) == len(group):
        # Where no two photos belong together they are dealt out label by label, which gives exact counts.
        label_of = np.empty_like(label)
        label_of[group] = label
        fold = np.empty_like(label)
        fold[np.lexsort([place, label_of])] = np.arange(len(fold)) % n_folds
    else:
        fold = _deal_groups(label, group, place, n_folds)
    fold.setflags(write=False)
    return fold


def _deal_groups(label: np.ndarray, group: np.ndarray, place: np.ndarray, n_folds: int) -> np.ndarray:
    """The fold of each group: one by one, the largest first, into the fold that has the least of what they hold.

    Of label l with n photos, of which a fold has c and a group g, the group adds 2 c g / n² + g² / n² to the sum of
    the squared shares of the folds, which is least where the shares are equal. Only c g / n² depends on the fold.
    """
    n_groups, n_labels = len(place), int(label.max()) + 1
    pairs, counts = np.unique(group * n_labels + label, return_counts=True)
    of_group, of_label = pairs // n_labels, pairs % n_labels
    weight = (1 << WEIGHT_BITS) // np.bincount(label).astype(np.int64) ** 2
    size, reach = np.bincount(group), np.zeros(n_groups, dtype=np.int64)
    np.add.at(reach, of_group, weight[of_label] * counts**2)
    starts = np.searchsorted(of_group, np.arange(n_groups + 1))
    held, photos = np.zeros((n_labels, n_folds), dtype=np.int64), np.zeros(n_folds, dtype=np.int64)
    fold = np.empty(n_groups, dtype=np.int64)
    for one in np.lexsort([place, -reach]).tolist():
        own = slice(starts[one], starts[one + 1])
        labels, some = of_label[own], counts[own]
        cost = (some * weight[labels]) @ held[labels]
        least = np.flatnonzero(cost == cost.min())
        fold[one] = chosen = least[photos[least].argmin()]
        held[labels, chosen] += some
        photos[chosen] += size[one]
    return fold


def _checked(
    label: ArrayLike, groups: ArrayLike | None, variant: ArrayLike | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Labels as text, groups, and the numbers of the rows of variant 0."""
    label = np.asarray(label, dtype=object)
    groups = np.arange(len(label)) if groups is None else group_numbers(groups)
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
    names, counts = _groups_of_labels(label, groups)
    for name, n_groups in zip(names[counts < n_folds], counts[counts < n_folds].tolist(), strict=True):
        n_images = int((label == name).sum())
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
