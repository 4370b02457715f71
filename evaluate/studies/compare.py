"""Which features and which head are best on these images, and by how much more than luck."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from classify.folds import Fold
from classify.heads.fitting import head_name
from classify.heads.tuning import tuned_heads
from classify.model.model import describe_differences
from classify.rows import NUISANCE, relabelled, usable_rows
from evaluate.checks.leakage import duplicates_of, measured_both_ways
from evaluate.checks.shortcuts import CRITERION, check_shortcuts
from evaluate.report.methods import ONE_FOLD, SEVERAL_FOLDS, with_methods_paragraph
from evaluate.report.text import pair_in_words
from evaluate.results import data_warnings, describe_data, describe_features, versions
from evaluate.scores import metrics
from evaluate.scores.crossval import Predictions, all_features, cross_validate
from evaluate.scores.metrics import all_scores, check_positive
from evaluate.scores.mistakes import (
    by_image,
    check_superclasses,
    hardest,
    label_suspects,
    misclassified,
    nearest_in_folds,
    superclass_errors,
    wrong_every_time,
)
from evaluate.splits.checked_folds import check_folds, folds_for
from evaluate.statistics.differences import compare_pairs, fold_accuracies
from evaluate.statistics.intervals import cross_validated_interval
from evaluate.statistics.power_law import METHOD as CURVE_METHOD
from evaluate.studies.curve import measured_curve
from featurize.errors import TableError, UsageError
from featurize.table import FeatureTable
from featurize.tableformat import IDS

# -- What `compare` tells of the best pair alone, and of the features that it uses -----------------------


def details_of(
    predictions: Predictions,
    features: str,
    head: str,
    superclasses: Mapping[str, str] | None,
    table: FeatureTable,
    folds: Sequence[Fold],
) -> dict[str, Any]:
    """`Comparison.best` beyond the scores: confusion, photos to look at, errors across super-classes.

    Parameters
    ----------
    predictions : Predictions
        Of all pairs.
    features, head : str
        The best pair.
    superclasses : mapping or None
        Super-class by label.
    table : FeatureTable
        Whose rows `predictions` and `folds` speak of.
    folds : sequence of Fold
    """
    mine = predictions.of(features, head)
    confusion, photos = metrics.confusion(mine.label, mine.predicted, mine.labels), by_image(mine)
    predicted = metrics.most_probable(photos.probabilities, photos.labels)
    return {
        "confusion": confusion,
        "confusion_percent": metrics.percent_of_rows(confusion["matrix"]),
        "per_label": metrics.per_label(mine.label, mine.predicted, mine.labels),
        "misclassified": nearest_in_folds(table, features, folds, misclassified(mine)),
        "wrong_every_time": wrong_every_time(predictions, features),
        "hardest": hardest(predictions, features),
        "label_suspects": label_suspects(photos),
        "superclasses": superclass_errors(photos.label, predicted, superclasses) if superclasses else None,
    }


# -- One row of the results of `compare`, and what the heads complained of -------------------------------


def score_pair(mine: Predictions, features: str, head: str, positive: str | None) -> dict[str, Any]:
    """One row of the results, from the predictions of one pair."""
    times = mine.times
    interval = cross_validated_interval(
        mine.label == mine.predicted,
        mine.rows["row"].to_numpy(),
        mine.rows["group"].to_numpy(),
        n_folds=len(times),
    )
    sizes = times["model_bytes"].dropna()
    return {
        "features": features,
        "head": head,
        "accuracy": interval.to_dict(),
        **all_scores(mine.label, mine.probabilities, mine.labels, positive),
        "tuned": times["tuned"].tolist() if times["tuned"].notna().all() else None,
        "fit_seconds": float(times["fit_seconds"].mean()),
        "predict_seconds_per_image": float(times["predict_seconds"].sum() / times["n_testing"].sum()),
        "model_bytes": int(sizes.iloc[0]) if len(sizes) else None,
        "accuracy_per_fold": fold_accuracies(mine).tolist(),
    }


def complaints(predictions: Predictions) -> list[str]:
    """What the heads warned of while fitting, each once, with the number of fits concerned."""
    counts: dict[tuple[str, str, str], int] = {}
    for row in predictions.times.to_dict("records"):
        for text in row["complaints"]:
            key = (row["head"], row["features"], text)
            counts[key] = counts.get(key, 0) + 1
    n_folds = len(predictions.times) // len(predictions.pairs())
    return [f"{h} on {f}: {text} ({n} of {n_folds} fits)" for (h, f, text), n in sorted(counts.items())]


# -- A separate test table for `compare`: heads train on one table and are tested on another -------------


def with_test_rows(table: FeatureTable, test: FeatureTable, features: Sequence[str]) -> FeatureTable:
    """Both tables below each other; the split says ``training`` or ``testing``.

    Parameters
    ----------
    table, test : FeatureTable
        The labelled rows to train on, and the photos to test. Images of `test` get its folder (or ``test``, where
        that is not known) before their names unless both come from one: two folders may use the same ones.
    features : sequence of str
        The columns that are used, or several joined with ``+``.

    Returns
    -------
    FeatureTable

    Raises
    ------
    TableError
        If `test` lacks features, or they were made otherwise.
    UsageError
        If it has labels that `table` has not.
    """
    wanted = {part for name in features for part in table.parts(name)}
    for name in sorted(wanted):
        _refuse_made_otherwise(table, test, name)
    # Others serve the checks for near-duplicates and shortcuts, where both tables have them.
    columns = [name for name in table.features if name in wanted or not _differences(table, test, name)]
    strange = sorted(set(test.label) - set(table.label))
    if strange:
        raise UsageError(
            f"{np.isin(test.label.astype(str), strange).sum()} of {len(test)} photos of the test table have labels "
            f"that no row to train on has: {', '.join(strange)}",
            f"the labels to train on are {', '.join(sorted(set(table.label)))}; rename or drop the others with a "
            "relabelling (--relabel)",
        )
    mine, theirs = (_folder(one) for one in (table, test))
    if mine is None or mine != theirs:
        test = test.with_column("image", [f"{theirs or 'test'}/{image}" for image in test.image])
    ids = pa.concat_tables([table.ids.select(IDS.names), test.ids.select(IDS.names)])
    vectors = {name: np.concatenate([table.vectors[name], test.vectors[name]]) for name in columns}
    joined = FeatureTable(ids, vectors, table.metadata)
    return joined.with_column("split", ["training"] * len(table) + ["testing"] * len(test))


def test_fold(table: FeatureTable) -> tuple[list[Fold], dict[str, Any], list[str]]:
    """The one fold of a table from `with_test_rows`, what it is in words, and what to know of it.

    Rows to train on that belong together with a test photo (the same bytes, or one group) are left out of the
    training and counted: the test photos stay as they were chosen.

    Raises
    ------
    UsageError
        If a label is then left without a row to train on.
    """
    groups, photos, testing = table.groups, table.variant == 0, table.split == "testing"
    known = ~testing & np.isin(groups, groups[testing])
    training = ~testing & ~known
    folds = check_folds([Fold(0, 0, np.flatnonzero(training), np.flatnonzero(testing))], table)
    description = {
        "cv": 1,
        "repeats": 1,
        "tested": int(testing.sum()),
        "method": f"a separate test table: {(training & photos).sum()} photos to train on, {testing.sum()} to test",
    }
    n_known, n_all = int((known & photos).sum()), int((~testing & photos).sum())
    if not n_known:
        return folds, description, []
    words = (
        f"{n_known} of the {n_all} photos to train on {'is' if n_known == 1 else 'are'} in the test table too, or in "
        "one group with a photo of it; the heads were trained without them"
    )
    return folds, description, [words]


test_fold.__test__ = False  # type: ignore[attr-defined]  # pytest collects functions by their name


def _refuse_made_otherwise(table: FeatureTable, test: FeatureTable, name: str) -> None:
    if name not in test.vectors:
        raise TableError(
            f"the test table has no features named {name}; it has {', '.join(test.features) or 'none'}",
            f"extract them with `featurize extract --features {name}`, or name the --features that both tables have",
        )
    differences = _differences(table, test, name)
    if differences:
        raise TableError(
            f"the features {name} of the two tables were made otherwise: {'; '.join(differences)}",
            "extract both with the same settings",
        )


def _differences(table: FeatureTable, test: FeatureTable, name: str) -> list[str]:
    """In what the column differs between the tables, beyond its rows."""
    if name not in test.vectors:
        return ["missing in the test table"]
    one, other = (each.metadata["features"].get(name, {}) for each in (table, test))
    widths = [each.vectors[name].shape[1] for each in (table, test)]
    found = [f"width {widths[0]} and {widths[1]}"] if widths[0] != widths[1] else []
    if one.get("fingerprint") != other.get("fingerprint"):
        found += describe_differences(one.get("description") or {}, other.get("description") or {})
        found = found or ["other fingerprints"]
    return found


def _folder(table: FeatureTable) -> str | None:
    source = table.metadata.get("source") or {}
    path = source.get("path")
    return os.path.dirname(path) if path and source.get("kind") == "manifest" else path


FORMAT_VERSION = 1
HEADS = ("softmax", "svm", "mlp")


@dataclass
class Comparison:
    """What `compare` found; print it, or write it with `to_dict` and `to_html`.

    Attributes
    ----------
    results : list of dict
        One per (features, head), best first: accuracy with interval, the scores of
        `evaluate.scores.metrics.all_scores`, seconds to fit and to predict, ``tuned`` (what a search chose per fold) and
        ``model_bytes``, the size of one fitted head in a model file (None where it cannot be written).
    comparisons : list of dict
        Pairs on the same folds: the best of each features against the best of all, and on the best features
        each head against the best one; see `evaluate.statistics.differences.compare_pairs`.
    best : dict
        Of the first result: ``confusion``, ``confusion_percent``, ``per_label``, ``misclassified`` (the first
        60 with ``nearest``, the training photos that they resemble most, see `evaluate.scores.mistakes`),
        ``label_suspects`` (worth a look, not a verdict), ``superclasses`` (None when none were given), and on its
        features over all heads ``wrong_every_time`` and ``hardest``.
    warnings : list of str
        What to know before believing the numbers.
    data, features, folds : dict
    predictions : Predictions
        The tidy table that every number comes from.
    duplicates : dict or None
        What near-duplicates do to the accuracy, see `evaluate.checks.leakage.describe_duplicates`; None when none were
        looked for.
    shortcuts : dict or None
        How well camera, file and mean colours alone predict the labels, see `evaluate.checks.shortcuts.check_shortcuts`;
        None for a table without ``nuisance``.
    learning_curve : dict or None
        Of the best pair, where asked for: ``model, points, fit, guesses, gains`` as in
        `evaluate.studies.curve.LearningCurve`.
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
    duplicates: dict[str, Any] | None = None
    shortcuts: dict[str, Any] | None = None
    learning_curve: dict[str, Any] | None = None
    command: str = ""

    def __str__(self) -> str:
        from evaluate.report.text import comparison_as_text

        return comparison_as_text(self)

    def to_dict(self) -> dict[str, Any]:
        """Everything but the predictions themselves, ready for JSON; ``format_version`` 1."""
        content = {
            "format_version": FORMAT_VERSION,
            "kind": "comparison",
            "results": self.results,
            "comparisons": self.comparisons,
            "best": self.best,
            "warnings": self.warnings,
            "data": self.data,
            "features": self.features,
            "folds": self.folds,
            "duplicates": self.duplicates,
            "shortcuts": self.shortcuts,
            "learning_curve": self.learning_curve,
            "methods": (ONE_FOLD if self.folds["cv"] * self.folds["repeats"] == 1 else SEVERAL_FOLDS)
            | ({"shortcuts": CRITERION} if self.shortcuts else {})
            | ({"curve": CURVE_METHOD} if self.learning_curve else {}),
            "seed": self.seed,
            "versions": versions(),
            "command": self.command,
        }
        return with_methods_paragraph(content)

    def to_html(self, images: str | Path | None = None) -> str:
        """The report, one self-contained page; `images` is the folder of the photos, when they have moved."""
        from evaluate.report.html import render

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
    positive: str | None = None,
    rope: float = 1.0,
    superclasses: Mapping[str, str] | None = None,
    folds: Any = "stratified",
    group_duplicates: bool = False,
    tune: str | None = None,
    curve: bool = False,
    test: FeatureTable | None = None,
) -> Comparison:
    """Cross-validate every head on every features, over the same folds, and say which is better by how much.

    Parameters
    ----------
    table : FeatureTable
        Rows without a label or for testing are left out.
    features : sequence of str, optional
        Columns, or several joined with ``+``. By default every column and, when there are several, all of
        them together; ``nuisance`` only when named: it is there for the shortcut check.
    heads : sequence of str or estimator
        Registered names with parameters (``"svm:C=10"``), dotted paths, or scikit-learn classifiers.
    cv : int
        Number of folds. Groups and byte-identical images stay together.
    repeats : int
        How often to divide into folds anew.
    seed : int
        The same seed gives the same numbers, whatever `jobs` is; only a head given as an object has a
        ``random_state`` of its own, and where that is None its numbers vary.
    relabel : mapping, optional
        New label by label; None or empty text drops the class.
    jobs : int, optional
        Processes; by default all processors.
    positive : str, optional
        Of two labels the one to be found: adds sensitivity and specificity.
    rope : float
        Region of practical equivalence: so many accuracy points are practically no difference.
    superclasses : mapping, optional
        Super-class by label: counts the errors that stay inside one and those that cross.
    folds : str, Path, splitter, or sequence
        ``"stratified"``, ``"leave-one-group-out"``, ``"predefined"`` (by the table's split), a folds file, a
        scikit-learn splitter, or pairs of rows: see `evaluate.splits.checked_folds.folds_for`. None may part what belongs together.
    group_duplicates : bool
        Keep near-duplicates together as well. Either way the best pair is measured a second time the other way. On 750
        photos of flowers and 450 altered copies of 150 of them (cropped, brighter, JPEG quality 50), svm on
        ``inception_v3:mixed8`` gets 94.8 % as split at random and 88.8 % with near-duplicates kept together.
    tune : {"log-loss", "accuracy"}, optional
        Search each head's parameters within each training side, by this score; see `tuned_heads`.
    curve : bool
        Also measure the best pair on ever fewer images of each label, and guess what more would bring.
    test : FeatureTable, optional
        Train on `table` and test on the photos of this one (its testing rows, where it has a split), instead of
        dividing `table` into folds; see `evaluate.studies.compare.test_fold`. `folds`, `cv` and `repeats` then say nothing.

    Returns
    -------
    Comparison

    Raises
    ------
    UsageError
        If features, heads or labels are not as described here, a label has fewer images than folds, a head
        fails, or `folds` cannot be made or part what belongs together.

    Examples
    --------
    >>> import numpy as np
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
    heads = heads if tune is None else tuned_heads(heads, tune)
    table = relabelled(table, relabel)
    names = list(features) if features is not None else all_features(table)
    ungrouped = usable_rows(table, "compare")
    if test is not None:
        ungrouped = with_test_rows(ungrouped, usable_rows(relabelled(test, relabel), "test"), names)
    duplicates, whole, crowded = duplicates_of(ungrouped, group_duplicates)
    used_parts = {part for name in names for part in whole.parts(name)}
    vectors = {name: matrix for name, matrix in whole.vectors.items() if name in used_parts}
    used = FeatureTable(whole.ids, vectors, whole.metadata)
    labels = sorted(set(used.label))
    check_positive(labels, positive)
    if superclasses is not None:
        superclasses = check_superclasses(superclasses, labels)
    if not 0 <= rope < 100:
        raise UsageError(f"the region of practical equivalence is {rope} points", "give 0 or more")
    division = {"cv": cv, "repeats": repeats, "seed": seed}
    notes: list[str] = []
    if test is not None:
        made, described, notes = test_fold(used)
    else:
        made, described = folds_for(used, folds, **division)
    predictions = cross_validate(used, names, heads, made, seed=seed, jobs=jobs)
    results = [score_pair(predictions.of(*pair), *pair, positive) for pair in predictions.pairs()]
    results.sort(key=lambda row: (-row["accuracy"]["mean"], row["log_loss"]))
    best = results[0]
    leaks = None
    if duplicates is not None:
        how = folds if test is None else made
        leaks = measured_both_ways(duplicates, ungrouped, used, made, best, heads, how, division, jobs)
    honest = [row["balanced_accuracy"] for row in results if NUISANCE not in row["features"].split("+")]
    shortcuts = check_shortcuts(whole, made, max(honest, default=1.0), seed=seed, jobs=jobs)
    measured = None
    if curve:
        (head,) = (one for one in heads if head_name(one) == best["head"])
        measured = measured_curve(used, made, best["features"], head, seed=seed, jobs=jobs)
    return Comparison(
        results=results,
        comparisons=[
            {**pair, "words": pair_in_words(pair, described["cv"] * described["repeats"] == 1)}
            for pair in compare_pairs(results, predictions, rope)
        ],
        best=details_of(predictions, best["features"], best["head"], superclasses, used, made),
        warnings=[
            *notes,
            *crowded,
            *([leaks["words"]] if leaks and leaks["words"] else []),
            *([shortcuts["words"]] if shortcuts and shortcuts["found"] else []),
            *data_warnings(used, names),
            *complaints(predictions),
        ],
        data=describe_data(used),
        features=describe_features(used, names),
        folds=described,
        seed=seed,
        predictions=predictions,
        table=used,
        duplicates=leaks,
        shortcuts=shortcuts,
        learning_curve=measured,
    )
