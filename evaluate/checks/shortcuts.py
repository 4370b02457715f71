"""Whether the labels can be told from the camera and the file alone: then a network may be reading those."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from classify.folds import Fold
from classify.rows import NUISANCE
from evaluate.report.sentences import shortcuts_in_words
from evaluate.results import Shortcuts
from evaluate.scores import metrics
from evaluate.scores.crossval import cross_validate
from evaluate.statistics.intervals import Interval, grouped_interval
from featurize.table import FeatureTable
from featurize.terminal import log

HEAD = "sklearn.ensemble.RandomForestClassifier:n_estimators=100"
CRITERION = (
    "a forest of 100 trees on the nuisance values alone, over the same folds: it gets at least half of the way "
    "from chance (one label in so many) to the best features in balanced accuracy, and more photos right than "
    "the commonest label of the photos tested is (lower end of a 95 % interval)"
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
        log.info(
            "the shortcut check is left out: the table has no column nuisance; "
            "`featurize extract SOURCE --features ... nuisance` adds it"
        )
        return None
    accuracy, balanced = _measured(table, folds, seed, jobs)
    testing = np.concatenate([fold.testing for fold in folds])
    _, counts = np.unique(table.label[testing].astype(str), return_counts=True)
    chance = 1 / len(set(table.label))
    beyond_chance = accuracy.low > counts.max() / counts.sum()
    found = bool(balanced - chance >= 0.5 * max(best - chance, 0) and beyond_chance)
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


def _measured(
    table: FeatureTable, folds: Sequence[Fold], seed: int, jobs: int | None
) -> tuple[Interval, float]:
    """Accuracy and balanced accuracy of the forest on the nuisance values."""
    found = cross_validate(table, [NUISANCE], [HEAD], folds, seed=seed, jobs=jobs)
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
