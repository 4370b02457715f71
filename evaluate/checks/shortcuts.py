"""Whether the labels can be told from the camera and the file, or from the border of the photos, alone.

Then a network may be reading those.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from classify.folds import Fold
from classify.rows import BORDER, NUISANCE
from evaluate.report.data_sentences import border_in_words, shortcuts_in_words
from evaluate.results import BorderScores, Shortcuts
from evaluate.scores import metrics
from evaluate.scores.crossval import Predictions, cross_validate
from evaluate.statistics.differences import paired_interval
from evaluate.statistics.intervals import Interval, accuracy_interval, grouped_interval
from featurize.table import FeatureTable
from featurize.terminal import log

HEAD = "sklearn.ensemble.RandomForestClassifier:n_estimators=100"
CRITERION = (
    "a forest of 100 trees on the nuisance values alone, over the same folds: it gets at least half of the way "
    "from chance (one label in so many) to the best features in balanced accuracy, and more photos right than "
    "the commonest label of the photos tested is (lower end of a 95 % interval)"
)
BORDER_CRITERION = (
    "the best head on the border alone, over the same folds, is not shown to be worse than on the whole photo (95 % "
    "interval of the paired difference), gets at least half of the way from chance (one label in so many) to it, and "
    "more photos right than the commonest label is (lower end of a 95 % interval)"
)
# Which values of the extractor speak of what, by the beginning of their names.
KINDS = {
    "the size of the photo": ("width", "height"),
    "the compression of the file": ("bytes", "bits_per_pixel", "is_jpeg", "jpeg_quality"),
    "the camera": ("has_camera", "camera"),
    "the mean colours": ("mean_",),
    "the colours of the border": ("border_",),
}


def check_shortcuts(
    table: FeatureTable, folds: Sequence[Fold], best: float, *, seed: int = 0, jobs: int | None = None
) -> Shortcuts | None:
    """How well size, compression, camera and mean colours alone predict the labels.

    Where they do, an accuracy says little about the subject: in several studies of diseases the network had learned
    the hospital's scanner (DeGrave et al. 2021, https://doi.org/10.1038/s42256-021-00338-7). Colours may also belong
    to the subject: the answer names which values it was, and the judgement is left to the reader.

    Parameters
    ----------
    table : FeatureTable
        With a ``nuisance`` column (``featurize extract --features ... nuisance``).
    folds : sequence of Fold
        Those of the comparison.
    best : float
        Balanced accuracy of the best features.
    seed, jobs
        As in `evaluate.studies.compare.compare`.

    Returns
    -------
    Shortcuts or None
        None without the column. Else ``accuracy`` (mean, low, high), ``balanced_accuracy``, ``chance``, ``best``,
        ``found`` (see ``criterion``), ``words``, and where it is found ``kinds``: by each kind of value alone.

    Examples
    --------
    >>> from classify.folds import make_folds
    >>> quality = np.repeat([[50.0], [95.0]], 10, axis=0)
    >>> table = FeatureTable.from_arrays({"nuisance": quality}, label=["rust"] * 10 + ["well"] * 10)
    >>> check_shortcuts(table, make_folds(table.label, table.groups), best=0.9, jobs=1).found
    True
    """
    if NUISANCE not in table.vectors:
        log.debug(
            "whether camera and file alone tell the labels was not checked: the table has no column nuisance; "
            "`featurize extract SOURCE --features ... nuisance` adds it"
        )
        return None
    accuracy, balanced = _measured(table, folds, seed, jobs)
    tested = table.label[np.concatenate([fold.testing for fold in folds])]
    chance = 1 / len(set(table.label))
    found = _is_halfway(balanced, best, chance) and _beats_guessing(accuracy, tested)
    result = Shortcuts(
        accuracy=accuracy,
        balanced_accuracy=balanced,
        chance=chance,
        best=best,
        found=found,
        criterion=CRITERION,
        kinds=_by_kind(table, folds, seed, jobs) if found else {},
    )
    return replace(result, words=shortcuts_in_words(result))


def check_borders(
    table: FeatureTable, folds: Sequence[Fold], head: Any, *, seed: int = 0, jobs: int | None = None
) -> list[BorderScores]:
    """What a head that sees the border of the photos alone is worth against one that sees all of them.

    Parameters
    ----------
    table : FeatureTable
        With columns of ``region=border``, each beside the same features without a region (and, better, beside those of
        ``region=centre``): ``featurize extract --features inception_v3 inception_v3:region=border ...``.
    folds : sequence of Fold
        Those of the comparison.
    head : str or classifier
        The best one of the comparison.
    seed, jobs
        As in `evaluate.studies.compare.compare`.

    Returns
    -------
    list of BorderScores
        One for each column of the border that has its whole photo; see ``criterion``.
    """
    made = []
    for border in table.features:
        if _region(table, border) != BORDER:
            continue
        alike = [
            name for name in table.features if _all_but_region(table, name) == _all_but_region(table, border)
        ]
        by_region = {_region(table, name): name for name in reversed(alike)}
        whole, centre = by_region.get(None), by_region.get("centre")
        if whole is None:
            log.info(
                "the border check is left out: the table lacks the features of the whole photo for %s", border
            )
            continue
        names = [name for name in (border, whole, centre) if name is not None]
        found = cross_validate(table, names, [head], folds, seed=seed, jobs=jobs, sizes=False)
        made.append(_border_scores(found, *names))
    return made


def _border_scores(found: Predictions, border: str, whole: str, centre: str | None = None) -> BorderScores:
    """The record of one column of the border, from the predictions of one head."""
    ((head),) = {name for _, name in found.pairs()}
    accuracy: dict[str | None, Interval] = {}
    right = {}
    for name, _ in found.pairs():
        own = found.of(name, head)
        rows, groups = own.rows["row"].to_numpy(), own.rows["group"].to_numpy()
        right[name] = own.label == own.predicted
        accuracy[name] = accuracy_interval(own)
    difference = paired_interval(right[whole], right[border], rows, groups, n_folds=len(own.times))
    of_border, chance = accuracy[border], 1 / len(set(own.label))
    halfway = _is_halfway(of_border.mean, accuracy[whole].mean, chance)
    result = BorderScores(
        border=border,
        whole=whole,
        centre=centre,
        head=head,
        border_accuracy=of_border,
        whole_accuracy=accuracy[whole],
        centre_accuracy=accuracy.get(centre),
        difference=difference,
        found=bool(difference.low <= 0) and halfway and _beats_guessing(of_border, own.label),
        criterion=BORDER_CRITERION,
    )
    return replace(result, words=border_in_words(result))


def _is_halfway(score: float, best: float, chance: float) -> bool:
    """Whether a score gets at least half of the way from chance to the best."""
    return bool(score - chance >= 0.5 * max(best - chance, 0))


def _beats_guessing(accuracy: Interval, tested: np.ndarray) -> bool:
    """Whether the lower end of an accuracy is above that of always answering the commonest label that was tested."""
    _, counts = np.unique(tested.astype(str), return_counts=True)
    return bool(accuracy.low > counts.max() / counts.sum())


def _region(table: FeatureTable, name: str) -> str | None:
    return (table.metadata["features"].get(name, {}).get("params") or {}).get("region")


def _all_but_region(table: FeatureTable, name: str) -> dict[str, Any]:
    """What else makes the numbers of a column; of one that says nothing, what is like no other."""
    described = table.metadata["features"].get(name, {}).get("description") or {"name": name}
    return {key: value for key, value in described.items() if key != "region"}


def _measured(
    table: FeatureTable, folds: Sequence[Fold], seed: int, jobs: int | None
) -> tuple[Interval, float]:
    """Accuracy and balanced accuracy of the forest on the nuisance values."""
    found = cross_validate(table, [NUISANCE], [HEAD], folds, seed=seed, jobs=jobs, sizes=False)
    interval = grouped_interval(found.label == found.predicted, found.rows["group"].to_numpy())
    return interval, metrics.balanced_accuracy(found.label, found.predicted)


def _by_kind(table: FeatureTable, folds: Sequence[Fold], seed: int, jobs: int | None) -> dict[str, float]:
    names = [name.removeprefix("nuisance_") for name in table.value_names(NUISANCE)]
    found = {}
    for kind, beginnings in KINDS.items():
        columns = [place for place, name in enumerate(names) if name.startswith(beginnings)]
        if columns:
            only = np.ascontiguousarray(table.vectors[NUISANCE][:, columns])
            part = FeatureTable(table.ids, {NUISANCE: only})
            found[kind] = _measured(part, folds, seed, jobs)[1]
    return dict(sorted(found.items(), key=lambda item: -item[1]))
