"""A model on a test set: what it got right, what wrong, and whether it had seen the photos before."""

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from classify.heads.fitting import head_name
from classify.rows import select_vectors, usable_rows
from classify.taxonomy import ParentMap, Taxonomy
from evaluate.checks.leakage import find_contamination, trained_on
from evaluate.provenance import describe_corrections, describe_data, describe_features
from evaluate.report.data_sentences import corrections_in_words, data_warnings
from evaluate.report.html import Reported
from evaluate.results import (
    BeforeRelabelling,
    ModelFacts,
    TestDetails,
    TestRecord,
    TestScores,
    UnseenScores,
)
from evaluate.scores import metrics
from evaluate.scores.crossval import Predictions
from evaluate.scores.groups import check_groups, predict_groups, rule_in_words
from evaluate.scores.metrics import all_scores, check_positive, scores_at
from evaluate.scores.mistakes import check_superclasses, nearest_in_table, superclass_errors, wrong_rows
from evaluate.statistics.hierarchy import TreeScores, threshold_of_rule, tree_scores
from evaluate.statistics.intervals import Interval, ShareIntervals, grouped_interval
from evaluate.statistics.per_group import PerGroup, describe_groups, intervals_of
from featurize.errors import UsageError
from featurize.table import FeatureTable
from featurize.terminal import log

if TYPE_CHECKING:
    from classify.model.model import Model, OperatingPoint


class TestResult(Reported, TestRecord):
    """What `test` found; print it, or write it with `to_dict` and `to_html`.

    Attributes
    ----------
    scores : TestScores
        ``accuracy``, ``accuracy_interval`` (mean, low, high), all scores, ``intervals`` of those that have one,
        ``expected`` (what its operating point promised), ``predict_seconds_per_image``, ``seen`` (how many photos were
        in the training set) of the ``comparable`` ones (whose bytes are known), ``near`` (how many others nearly are
        one of it), ``grouped`` (how many others share a group with one of it; either is None where that could not be
        looked at) and ``unseen``: None, or the accuracy on those that are none of the three.
    details : TestDetails
        ``confusion``, ``confusion_percent``, ``misclassified`` (with the training table given, the first 60 with
        ``nearest``, the training photos that they resemble most) and ``superclasses`` (None when none were given).
    warnings, data, features, command, date
        As in `Comparison`.
    model : ModelFacts
        ``head``, ``features`` and ``labels`` of the model.
    per_group : PerGroup or None
        As in `Comparison`.
    corrections : CorrectedLabels or None
        As in `Comparison`, by what the model says.
    training : FeatureTable or None
        The photos that it was trained on, where their table was given.
    predictions : Predictions
        What it says of each photo; ``to_frame`` and ``write`` give them away.
    """


def test(
    model: "Model",
    table: FeatureTable,
    *,
    positive: str | None = None,
    superclasses: Mapping[str, str] | None = None,
    taxonomy: ParentMap | Mapping[str, str] | None = None,
    training: FeatureTable | None = None,
    per_group: str | None = None,
) -> TestResult:
    """The scores of `model` on the testing rows of `table` (all rows where it has no split).

    Parameters
    ----------
    model : Model
        From `classify.training.train.train` or `classify.model.modelfile.load_model`; its relabelling is applied.
    table : FeatureTable
        Must hold the model's features, made by the same extractors.
    positive, superclasses, per_group
        As in `evaluate.studies.compare.compare`.
    taxonomy : mapping, optional
        Parent by label and by inner node: adds scores level by level. By default the tree of the model, if it has one,
        whose answers are scored too.
    training : FeatureTable, optional
        The table that the model was trained on: test photos that are nearly one of it are counted too. Without
        it the vectors that the model keeps are compared; see `evaluate.checks.leakage.find_contamination`.

    Returns
    -------
    TestResult

    Raises
    ------
    ModelError
        If the table's features are missing or were made otherwise.
    UsageError
        If no row is left, the table has labels that the model does not know, `positive` is not one of two
        labels, a label of the model has no super-class, or there are no groups to score, or some of two labels.
    """
    table = model.check_table(table)
    training = None if training is None else model.check_table(training)
    check_positive(list(model.labels), positive)
    if superclasses is not None:
        superclasses = check_superclasses(superclasses, list(model.labels))
    tree = _tree_of(model, taxonomy)
    used = _relabelled(model, table)
    if per_group is not None:
        check_groups(used, per_group)
    X, label, labels = select_vectors(used, model.features), used.label, list(model.labels)
    start = time.perf_counter()
    probabilities = np.asarray(model.predict_proba(X), dtype=np.float64)
    seconds = time.perf_counter() - start
    given = model.decide(probabilities)
    predicted = np.asarray(labels, dtype=object)[given]
    right, known = predicted == label, find_contamination(model, used, training, table)
    interval = grouped_interval(right, used.groups)
    trained = None
    if training is not None:
        trained, relabel = training.filter(trained_on(model, training)), model.relabel or {}
        trained = trained.with_column("label", [relabel.get(one, one) for one in trained.label])
    wrong = wrong_rows(used.image, label, probabilities, labels, given)
    confusion, point = metrics.confusion(label, predicted, labels), model.operating_point
    name = model.training.get("head") or head_name(model.head)
    predictions = _as_predictions(used, probabilities, predicted, model, name, seconds)
    scores = TestScores(
        accuracy=interval.mean,
        accuracy_interval=interval,
        **vars(all_scores(label, probabilities, labels, positive, predicted)),
        intervals=intervals_of(predictions, positive, 0, point.positive if point else None),
        operating_point=scores_at(label, predicted, point) if point else None,
        expected=_promised(point) if point else None,
        predict_seconds_per_image=seconds / len(used),
        seen=int(known.seen.sum()),
        comparable=sum(one is not None for one in used.sha256) if len(model.hashes) else 0,
        near=None if known.near is None else int(known.near.sum()),
        grouped=None if known.grouped is None else int(known.grouped.sum()),
        unseen=_unseen(right, used.groups, ~known.known) if known.known.any() else None,
    )
    details = TestDetails(
        confusion,
        metrics.percent_of_rows(confusion.matrix),
        nearest_in_table(used, trained, model.features, wrong),
        superclass_errors(label, predicted, superclasses) if superclasses else None,
        None if tree is None else _in_tree(model, predictions, tree),
    )
    data, described = describe_data(used), describe_features(used, [model.features])
    corrections = describe_corrections(
        used,
        np.arange(len(used)),
        predicted,
        lambda before: grouped_interval(predicted == before, used.groups),
    )
    return TestResult(
        scores=scores,
        details=details,
        warnings=[
            *known.warnings(),
            *data_warnings(data, described),
            *(corrections_in_words(corrections, interval) if corrections and corrections.changed else []),
        ],
        data=data,
        features=described,
        model=ModelFacts(name, model.features, labels, model.training.get("corrections")),
        table=used,
        predictions=predictions,
        training=trained,
        per_group=_scores_per_group(model, predictions, per_group, positive) if per_group else None,
        corrections=corrections,
        before_relabelling=BeforeRelabelling(
            dict(zip(table.image, table.label, strict=True)), dict(model.relabel)
        )
        if model.relabel
        else None,
    )


def _scores_per_group(model: "Model", predictions: Predictions, rule: str, positive: str | None) -> PerGroup:
    """A threshold of the model decides on the probabilities of a group as on those of a photo."""
    sought = positive or (model.operating_point.positive if model.operating_point else None)
    groups = predict_groups(predictions, rule, sought, model.decide)

    def interval_of(found: Predictions) -> Interval:
        return grouped_interval(found.label == found.predicted, found.rows["group"].to_numpy())

    decided = model.operating_point.positive if model.operating_point else None
    return describe_groups([groups], rule, rule_in_words(rule, sought), positive, interval_of, 0, decided)


def _tree_of(model: "Model", given: ParentMap | Mapping[str, str] | None) -> Taxonomy | None:
    """The tree of a model, or the one given for a model that has none."""
    own = None if model.answers is None else model.answers.taxonomy
    if given is None:
        return own
    tree = Taxonomy(given, model.labels)
    if own is not None and tree != own:
        what = "the model has a taxonomy of its own, and another one was given"
        raise UsageError(what, "leave it out; `classify show MODEL` prints that of the model")
    return tree


def _in_tree(model: "Model", predictions: Predictions, tree: Taxonomy) -> TreeScores:
    rule = None if model.answers is None else threshold_of_rule(predictions, model.answers)
    return tree_scores(predictions, tree, 0, rule)


def _promised(point: "OperatingPoint") -> ShareIntervals | None:
    if point.expected is None:
        return None
    shares = point.expected.sensitivity, point.expected.specificity
    return ShareIntervals(*(Interval(one.mean, one.low, one.high) for one in shares))


def _as_predictions(
    used: FeatureTable,
    probabilities: np.ndarray,
    predicted: np.ndarray,
    model: "Model",
    head: str,
    seconds: float,
) -> Predictions:
    """What a model says of each photo as the tidy table of a comparison: one fold, tested once."""
    import pandas as pd

    key = {"repeat": 0, "fold": 0, "features": model.features, "head": head}
    who = {"row": np.arange(len(used)), "image": used.image, "label": used.label, "group": used.groups}
    rows = pd.DataFrame({**key, **who, "given_group": used.group})
    sizes = {"n_training": None, "n_testing": len(used), "fit_seconds": None, "predict_seconds": seconds}
    times = pd.DataFrame([key | sizes | {"model_bytes": None, "tuned": None, "complaints": []}])
    return Predictions(rows, probabilities, list(model.labels), times, predicted)


def _relabelled(model: "Model", table: FeatureTable) -> FeatureTable:
    """The rows to test, with the model's own labels; those of a label that the relabelling drops are gone."""
    relabel, labels = dict(model.relabel or {}), set(model.labels)
    found = {str(label) for label in table.label if label is not None}
    dropped = sorted(label for label in found if label in relabel and not relabel[label])
    # What it does not know may stand among rows that are not tested; those that are, are looked at below.
    kept = table.relabel({label: label for label in found} | relabel)
    if len(kept) == 0 < len(table):
        raise UsageError(
            "the model's relabelling drops every row of the table",
            f"give photos of {', '.join(model.labels)}",
        )
    wanted = table.split == "testing" if any(table.split) else np.ones(len(table), dtype=bool)
    n_dropped = int((wanted & (table.variant == 0) & np.isin(table.label.astype(str), dropped)).sum())
    if n_dropped:
        log.info("the model's relabelling drops %d photos of %s", n_dropped, ", ".join(dropped))
    used = usable_rows(kept, "test")
    unknown = sorted(set(used.label) - labels)
    if unknown:
        raise UsageError(
            f"the table has labels that the model does not know: {', '.join(unknown)}; "
            f"the model knows {', '.join(sorted(labels | set(relabel)))}",
            "rename the labels, or train with a relabelling that names them (an empty new_label drops a class)",
        )
    return used


def _unseen(right: np.ndarray, groups: np.ndarray, rows: np.ndarray) -> UnseenScores | None:
    if not rows.any():
        return None
    interval = grouped_interval(right[rows], groups[rows])
    return UnseenScores(int(rows.sum()), interval.mean, interval)
