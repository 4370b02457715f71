"""Cross-validation: every head on every features over the same folds, and one tidy table of predictions."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from classify.folds import Fold
from evaluate.fits import Rows, Task, run
from featurize.errors import UsageError
from featurize.table import FeatureTable
from featurize.terminal import progress

if TYPE_CHECKING:
    import pandas as pd


class Predictions:
    """Out-of-fold predictions: one row per repeat, fold, features, head and tested image.

    Made by `cross_validate`; every number that is reported comes from here.

    Parameters
    ----------
    rows : pandas.DataFrame
        Columns ``repeat, fold, features, head, row, image, label, group``; ``row`` is the row of the table.
    probabilities : array of shape (n_rows, n_labels), float64
        Per label, how probable the head held it.
    labels : list of str
        The names of the columns of `probabilities`, sorted.
    times : pandas.DataFrame
        One row per repeat, fold, features and head: ``n_training, n_testing`` (photos, without distorted
        copies), ``fit_seconds, predict_seconds``, ``model_bytes`` (of the first fold; missing on others, and for
        a head that cannot be written), ``tuned``, the spec that a search chose or None, and ``complaints``,
        the distinct warnings of the head.
    """

    def __init__(
        self, rows: "pd.DataFrame", probabilities: np.ndarray, labels: list[str], times: "pd.DataFrame"
    ):
        self.rows = rows
        self.probabilities = probabilities
        self.labels = labels
        self.times = times

    def __len__(self) -> int:
        return len(self.rows)

    def pairs(self) -> list[tuple[str, str]]:
        """The (features, head) pairs, in the order in which they were asked for."""
        return list(dict.fromkeys(zip(self.times["features"], self.times["head"], strict=True)))

    def of(self, features: str, head: str) -> "Predictions":
        """The predictions of one (features, head) pair, rows in the same order for every pair."""
        mine = ((self.rows["features"] == features) & (self.rows["head"] == head)).to_numpy()
        timed = ((self.times["features"] == features) & (self.times["head"] == head)).to_numpy()
        return Predictions(
            self.rows[mine].reset_index(drop=True),
            self.probabilities[mine],
            self.labels,
            self.times[timed].reset_index(drop=True),
        )

    @property
    def label(self) -> np.ndarray:
        """The true label of each row."""
        return self.rows["label"].to_numpy(dtype=object)

    @property
    def predicted(self) -> np.ndarray:
        """The most probable label of each row."""
        from evaluate.metrics import most_probable

        return most_probable(self.probabilities, self.labels)

    def to_frame(self) -> "pd.DataFrame":
        """Everything in one frame; probabilities are the columns ``probability:LABEL``."""
        import pandas as pd

        columns = [f"probability:{label}" for label in self.labels]
        chances = pd.DataFrame(self.probabilities, columns=columns, index=self.rows.index)
        return pd.concat([self.rows.assign(predicted=self.predicted), chances], axis=1)


def cross_validate(
    table: FeatureTable,
    features: Sequence[str],
    heads: Sequence[Any],
    folds: Sequence[Fold],
    *,
    seed: int = 0,
    jobs: int | None = None,
) -> Predictions:
    """Fit every head on every features, on the training side of each fold, and predict its testing side.

    Parameters
    ----------
    table : FeatureTable
        All rows labelled.
    features : sequence of str
        Columns of the table, or several joined with ``+``.
    heads : sequence of str or estimator
        Whatever `classify.heads.registry.make_head` takes, and `classify.tuned.TunedHead`.
    folds : sequence of Fold
        From `classify.folds.make_folds`; all pairs use the same ones, so they can be compared in pairs.
    seed : int
        Start of the randomness of the heads.
    jobs : int, optional
        Processes, at most; by default one per processor. The numbers do not depend on it.

    Returns
    -------
    Predictions
        The numbers of plain scikit-learn; of an RBF SVM up to 1e-6, see `classify.shared.SharedFold`.

    Raises
    ------
    UsageError
        If features or a head is unknown or given twice, or a head fails on a fold; the message says which
        and why.

    Examples
    --------
    >>> from classify.folds import make_folds
    >>> table = FeatureTable.from_arrays({"x": [[0.0], [0.1], [0.9], [1.0]] * 3}, label=["a", "a", "b", "b"] * 3)
    >>> folds = make_folds(table.label, table.groups, n_folds=3)
    >>> predictions = cross_validate(table, ["x"], ["softmax"], folds, jobs=1)
    >>> len(predictions), predictions.pairs()
    (12, [('x', 'softmax')])
    """
    import pandas as pd

    matrices, tasks = _tasks(table, features, heads, folds, seed)
    label, labels = table.label, sorted(set(table.label))
    found = {}
    with progress(len(tasks), "cross-validating", unit="fit") as bar:
        for number, result in run(tasks, matrices, Rows(label, table.groups, table.variant), jobs):
            found[number] = result
            bar.update()
    results = [found[number] for number in range(len(tasks))]

    image, groups, variant = table.image, table.groups, table.variant
    rows, times = [], []
    for task, result in zip(tasks, results, strict=True):
        fold, tested = task.fold, task.fold.testing
        key = {"repeat": fold.repeat, "fold": fold.fold, "features": task.features, "head": task.head}
        who = {"row": tested, "image": image[tested], "label": label[tested], "group": groups[tested]}
        rows.append(pd.DataFrame(key | who))
        sizes = {"n_training": int((variant[fold.training] == 0).sum()), "n_testing": len(tested)}
        seconds = {
            "fit_seconds": result.fit_seconds,
            "predict_seconds": result.predict_seconds,
            "model_bytes": result.model_bytes,
            "tuned": result.tuned,
            "complaints": sorted(set(result.complaints)),
        }
        times.append(key | sizes | seconds)
    probabilities = np.concatenate([result.probabilities for result in results])
    return Predictions(pd.concat(rows, ignore_index=True), probabilities, labels, pd.DataFrame(times))


def _tasks(
    table: FeatureTable, features: Sequence[str], heads: Sequence[Any], folds: Sequence[Fold], seed: int
) -> tuple[dict[str, np.ndarray], list[Task]]:
    from sklearn.base import clone

    from classify.heads.registry import head_name, make_head
    from classify.rows import select_vectors
    from classify.tuned import TunedHead

    if not features or not heads or not folds:
        raise UsageError(
            f"{len(features)} features, {len(heads)} heads and {len(folds)} folds were given",
            "give at least one of each",
        )
    names = [head_name(head) for head in heads]
    for kind, given in (("features", list(features)), ("head", names)):
        twice = sorted({name for name in given if given.count(name) > 1})
        if twice:
            raise UsageError(
                f"the {kind} {', '.join(twice)} is given twice",
                "name each once" + (", for example svm:C=1 svm:C=10" if kind == "head" else ""),
            )
    matrices = {name: select_vectors(table, name) for name in features}
    tasks = []
    for one in features:
        for name, head in zip(names, heads, strict=True):
            if isinstance(head, TunedHead):
                estimator = clone(head).set_params(widths=table.widths(one), seed=seed)
            else:
                estimator = make_head(head, widths=table.widths(one), seed=seed)
            tasks += [Task(one, name, estimator, fold) for fold in folds]
    return matrices, tasks
