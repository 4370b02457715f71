"""Which features and which head are best on these images, and by how much more than luck."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from classify.folds import Fold
from classify.heads.fitting import classifier_of, head_name, named_heads
from classify.heads.registry import make_head
from classify.heads.tuning import tuned_heads
from classify.rows import Sample, is_control, relabelled, usable_rows
from classify.taxonomy import ParentMap, Taxonomy
from classify.training.answers import check_accuracy
from evaluate.checks.leakage import accuracy_with_and_without_grouping, find_near_duplicates, flatters
from evaluate.checks.shortcuts import check_borders, check_shortcuts
from evaluate.provenance import (
    CorrectedLabels,
    describe_corrections,
    describe_data,
    describe_features,
    describe_folds,
)
from evaluate.report.data_sentences import (
    corrections_in_words,
    data_warnings,
    folds_warnings,
)
from evaluate.report.difference_sentences import difference_in_words, weak_opponent_in_words
from evaluate.report.frames import Differences
from evaluate.report.html import Reported
from evaluate.results import BeforeRelabelling, BestPair, ComparisonRecord, ResultRow
from evaluate.scores import metrics
from evaluate.scores.crossval import Predictions, all_features, cross_validate
from evaluate.scores.groups import check_groups, predict_groups, rule_in_words
from evaluate.scores.metrics import all_scores, check_positive
from evaluate.scores.mistakes import (
    check_superclasses,
    hardest,
    is_dummy,
    label_suspects,
    mean_over_repeats,
    misclassified,
    misclassified_by_all,
    nearest_in_folds,
    superclass_errors,
)
from evaluate.splits.checked_folds import folds_for
from evaluate.statistics.differences import compare_pairs, fold_accuracies
from evaluate.statistics.hierarchy import TreeScores, cross_fitted_thresholds, tree_scores
from evaluate.statistics.intervals import Interval, accuracy_interval, cross_validated_interval
from evaluate.statistics.per_group import PerGroup, describe_groups, intervals_of
from evaluate.studies.curve import measured_curve
from evaluate.studies.separate_test_table import fold_of_test_rows, with_test_rows
from featurize.errors import UsageError
from featurize.table import FeatureTable

HEADS = ("softmax", "svm", "mlp")


class Comparison(Reported, ComparisonRecord):
    """What `compare` found; print it, or write it with `to_dict` and `to_html`.

    Attributes
    ----------
    results : list of ResultRow
        One per (features, head), best first: ``accuracy`` with its interval, all scores, seconds to fit and to predict,
        ``tuned`` (what a search chose per fold) and ``model_bytes`` (None where the head cannot be written).
    comparisons : list of PairComparison
        The best of each features against the best of all, and on the best features each head against the best one.
    best : BestPair
        Of the first result: ``confusion``, ``confusion_percent``, ``per_label``, ``misclassified`` (the first 60 with
        ``nearest``, the training photos that they resemble most), ``label_suspects`` (worth a look, not a verdict),
        ``superclasses``; and on its features over all heads ``wrong_every_time`` and ``hardest``.
    warnings : list of str
        What to know before believing the numbers.
    data, features, folds : DataFacts, dict, FoldFacts
        What the numbers rest on.
    predictions : Predictions
        The tidy table that every number comes from.
    duplicates : NearDuplicates or None
        What near-duplicates do to the accuracy; None when none were looked for.
    shortcuts : Shortcuts or None
        How well camera, file and mean colours alone predict the labels; None for a table without ``nuisance``.
    borders : list of BorderScores
        How often the best head is right who sees the border of the photos alone, or the centre alone; for columns of
        ``region=border``.
    per_group : PerGroup or None
        Scores of one prediction per group, where asked for: ``rule``, ``groups``, ``results`` in the order of those per
        photo, and of the first ``confusion`` and ``misclassified``.
    corrections : CorrectedLabels or None
        How many labels were corrected by hand, how many of these photos were tested, and the accuracy under the labels
        before.
    learning_curve : CurveMeasurements or None
        Of the best pair, where asked for: ``model, points, fit, guesses, gains`` as in `LearningCurve`.
    command : str
        The command line, empty when called from Python.
    date : str
        When it was made, or what SOURCE_DATE_EPOCH says.

    All of these are records: attributes, which also answer ``record["key"]`` for the keys of `to_dict`.
    `to_frame` gives the results as a DataFrame, ``differences.to_frame()`` the comparisons.
    """

    @property
    def differences(self) -> Differences:
        """The `comparisons`, as a list that is also a table."""
        return Differences(self.comparisons)


def compare(
    table: FeatureTable,
    features: Sequence[str] | None = None,
    heads: Mapping[str, Any] | Iterable[Any] | None = HEADS,
    *,
    cv: int = 5,
    repeats: int = 1,
    seed: int = 0,
    relabel: Mapping[str, str | None] | None = None,
    jobs: int | None = None,
    positive: str | None = None,
    rope: float = 1.0,
    superclasses: Mapping[str, str] | None = None,
    taxonomy: ParentMap | Mapping[str, str] | None = None,
    answer_accuracy: float = 0.95,
    folds: Any = "stratified",
    group_duplicates: bool = False,
    tune: str | None = None,
    curve: bool = False,
    test: FeatureTable | None = None,
    per_group: str | None = None,
) -> Comparison:
    """Cross-validate every head on every features, over the same folds, and say which is better by how much.

    Parameters
    ----------
    table : FeatureTable
        Rows without a label or for testing are left out.
    features : sequence of str, optional
        Columns, or several joined with ``+``; by default every column but ``nuisance`` and those of
        ``region=border``, and all of them together.
    heads : iterable of str or estimator, or mapping, optional
        Registered names with parameters (``"svm:C=10"``), dotted paths, or scikit-learn classifiers; by names of your
        own as ``{"strong": LogisticRegression(C=10)}`` or as pairs ``("strong", LogisticRegression(C=10))``. Objects of
        one class without names are called by the parameters that differ.
    cv, repeats : int
        Number of folds, and how often to divide anew. Groups and byte-identical images stay together.
    seed : int
        The same seed gives the same numbers on one machine, whatever `jobs` is; only a head given as an object has a
        ``random_state`` of its own.
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
    taxonomy : mapping, optional
        Parent by label and by inner node (`classify.read_taxonomy` reads a file): scores the best pair level by level.
    answer_accuracy : float
        With a taxonomy: the share of answers that shall be right, where a photo may be answered with a parent; each
        fold takes the threshold that the others choose, see `classify.choose_answers`.
    folds : str, Path, splitter, or sequence
        ``"stratified"``, ``"leave-one-group-out"``, ``"predefined"`` (by the table's split), a folds file, a
        scikit-learn splitter, or pairs of rows: see `evaluate.splits.checked_folds.folds_for`. None may part what
        belongs together.
    group_duplicates : bool
        Keep near-duplicates together as well. Either way the best pair is measured a second time the other way.
    tune : {"log-loss", "accuracy"}, optional
        Search each head's parameters within each training side, by this score.
    curve : bool
        Also measure the best pair on ever fewer images of each label, and guess what more would bring.
    test : FeatureTable, optional
        Train on `table` and test on this one (its testing rows, where it has a split) instead of on folds. Rows to
        train on that belong together with a test photo are left out.
    per_group : {"mean", "max", "vote"}, optional
        Also score one prediction per group of the table, made of those of its photos: the mean of their probabilities;
        the highest (of the positive label where one is given, else of each label, divided by their sum); or a vote.

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
    >>> found.results[0].features, found.results[0].accuracy.mean
    ('good', 1.0)
    """
    features = [features] if isinstance(features, str) else features
    if isinstance(heads, str) or hasattr(heads, "fit"):
        heads = [heads]
    heads = named_heads(HEADS if heads is None else heads)
    heads = heads if tune is None else tuned_heads(heads, tune)
    given, table = table, relabelled(table, relabel)
    names = list(features) if features is not None else all_features(table)
    ungrouped = usable_rows(table, "compare")
    if test is not None:
        n_own, tested = len(ungrouped), usable_rows(relabelled(test, relabel), "test")
        ungrouped = with_test_rows(ungrouped, tested, names)
    before = None
    if relabel:
        label = dict(zip(given.image, given.label, strict=True))
        if test is not None:
            own = dict(zip(test.image, test.label, strict=True))
            label |= {new: own[old] for new, old in zip(ungrouped.image[n_own:], tested.image, strict=True)}
        before = BeforeRelabelling(label, dict(relabel))
    duplicates, whole, crowded = find_near_duplicates(ungrouped, group_duplicates)
    used_parts = {part for name in names for part in whole.parts(name)}
    vectors = {name: matrix for name, matrix in whole.vectors.items() if name in used_parts}
    used = FeatureTable(whole.ids, vectors, whole.metadata)
    labels = sorted(set(used.label))
    check_positive(labels, positive)
    if superclasses is not None:
        superclasses = check_superclasses(superclasses, labels)
    tree = None
    if taxonomy is not None:
        check_accuracy(answer_accuracy)
        tree = Taxonomy(taxonomy, labels)
    if not 0 <= rope < 100:
        raise UsageError(f"the region of practical equivalence is {rope} points", "give 0 or more")
    division = {"cv": cv, "repeats": repeats, "seed": seed}
    notes: list[str] = []
    if test is not None:
        folds, method, notes = fold_of_test_rows(used)
        made = folds
    else:
        made, method = folds_for(used, folds, **division)
    described = describe_folds(made, method, used)
    if per_group is not None:
        check_groups(ungrouped.filter(np.unique(np.concatenate([fold.testing for fold in made]))), per_group)
    predictions = cross_validate(used, names, heads, made, seed=seed, jobs=jobs)
    if not described.base_rate.fair:
        predictions = with_pooled_dummies(predictions, used, heads, seed)
    # Near-duplicates that were put into one group are no group of the table's own.
    predictions.rows["given_group"] = ungrouped.group[predictions.rows["row"].to_numpy()]
    results = [result_row(predictions.of(*pair), *pair, positive) for pair in predictions.pairs()]
    results.sort(key=lambda row: (-row.accuracy.mean, row.log_loss))
    best = results[0]
    (head,) = (one for one in heads if head_name(one) == best.head)
    leaks = None
    if duplicates is not None:
        leaks = accuracy_with_and_without_grouping(
            duplicates, ungrouped, used, made, best, head, folds, division, jobs
        )
    honest = [
        row.balanced_accuracy
        for row in results
        if not any(is_control(used, part) for part in used.parts(row.features))
    ]
    shortcuts = check_shortcuts(whole, made, max(honest, default=1.0), seed=seed, jobs=jobs)
    borders = check_borders(whole, made, head, seed=seed, jobs=jobs)
    pairs = [
        replace(pair, words=difference_in_words(pair, described))
        for pair in compare_pairs(results, predictions, rope, described.base_rate)
    ]
    data, features_made = describe_data(used), describe_features(used, names)
    opponent = weak_opponent_in_words(features_made, table.metadata["features"])
    corrections = _corrections(used, predictions.of(best.features, best.head))
    measured = measured_curve(used, made, best.features, head, seed=seed, jobs=jobs) if curve else None
    return Comparison(
        results=results,
        comparisons=pairs,
        best=replace(
            describe_best(predictions, best, superclasses, used, made),
            taxonomy=None if tree is None else _in_tree(predictions, best, tree, answer_accuracy),
        ),
        warnings=[
            *notes,
            *crowded,
            *([leaks.words] if leaks and flatters(leaks, best.accuracy) else []),
            *([shortcuts.words] if shortcuts and shortcuts.found else []),
            *(border.words for border in borders if border.found),
            *folds_warnings(described),
            *data_warnings(data, features_made),
            *(
                corrections_in_words(corrections, best.accuracy)
                if corrections and corrections.changed
                else []
            ),
            *([opponent] if opponent else []),
            *_complaints(predictions),
        ],
        data=data,
        features=features_made,
        folds=described,
        seed=seed,
        predictions=predictions,
        table=used,
        duplicates=leaks,
        shortcuts=shortcuts,
        borders=borders,
        learning_curve=measured,
        per_group=_scores_per_group(predictions, results, per_group, positive) if per_group else None,
        corrections=corrections,
        before_relabelling=before,
    )


def _corrections(table: FeatureTable, own: Predictions) -> CorrectedLabels | None:
    """The corrections of the table, judged by the predictions of one pair."""

    def interval_of(label: np.ndarray) -> Interval:
        right = label[rows] == own.predicted
        return cross_validated_interval(right, rows, own.rows["group"].to_numpy(), n_folds=len(own.times))

    rows, photos = own.rows["row"].to_numpy(), mean_over_repeats(own)
    predicted = metrics.most_probable(photos.probabilities, photos.labels)
    return describe_corrections(table, np.unique(rows), predicted, interval_of)


def _in_tree(predictions: Predictions, best: ResultRow, tree: Taxonomy, accuracy: float) -> TreeScores:
    own = predictions.of(best.features, best.head)
    return tree_scores(own, tree, len(own.times), cross_fitted_thresholds(own, tree, accuracy))


def _scores_per_group(
    predictions: Predictions, results: Sequence[ResultRow], rule: str, positive: str | None
) -> PerGroup:
    pairs = [predictions.of(row.features, row.head) for row in results]
    groups = [predict_groups(own, rule, positive) for own in pairs]
    n_folds = len(groups[0].times)
    return describe_groups(groups, rule, rule_in_words(rule, positive), positive, accuracy_interval, n_folds)


def result_row(predictions: Predictions, features: str, head: str, positive: str | None) -> ResultRow:
    """One row of the results, from the predictions of one pair."""
    times = predictions.times
    sizes = times["model_bytes"].dropna()
    fold = np.repeat(np.arange(len(times)), times["n_testing"])
    return ResultRow(
        features=features,
        head=head,
        intervals=intervals_of(predictions, positive, len(times)),
        accuracy=accuracy_interval(predictions),
        **vars(
            all_scores(
                predictions.label,
                predictions.probabilities,
                predictions.labels,
                positive,
                fold=fold,
                weight=predictions.weight,
            )
        ),
        tuned=times["tuned"].tolist() if times["tuned"].notna().all() else None,
        classifier=times["classifier"].iloc[0],
        fit_seconds=float(times["fit_seconds"].mean()),
        predict_seconds_per_image=float(times["predict_seconds"].sum() / times["n_testing"].sum()),
        model_bytes=int(sizes.iloc[0]) if len(sizes) else None,
        accuracy_per_fold=fold_accuracies(predictions).tolist(),
    )


def with_pooled_dummies(
    predictions: Predictions, table: FeatureTable, heads: Sequence[Any], seed: int
) -> Predictions:
    """The predictions with those of dummies by all labels, for folds whose training sides lack what they test.

    A dummy takes nothing but the shares of the labels from its training side, which there are not those of the table.
    """
    probabilities = predictions.probabilities.copy()
    dummies = {head_name(head): head for head in heads if is_dummy(classifier_of(head))}
    for features, name in predictions.pairs():
        if name in dummies:
            sample = Sample.of(table, features)
            head = make_head(dummies[name], widths=sample.widths, seed=seed).fit(sample.X, sample.y)
            rows = (
                (predictions.rows["features"] == features) & (predictions.rows["head"] == name)
            ).to_numpy()
            probabilities[rows] = head.predict_proba(sample.X[predictions.rows["row"].to_numpy()[rows]])
    return replace(predictions, probabilities=probabilities)


def describe_best(
    predictions: Predictions,
    best: ResultRow,
    superclasses: Mapping[str, str] | None,
    table: FeatureTable,
    folds: Sequence[Fold],
) -> BestPair:
    """What is told of the best pair alone, from the `predictions` of all pairs on the `folds` of `table`."""
    own = predictions.of(best.features, best.head)
    counted = (own.label, own.predicted, own.labels, own.weight)
    confusion, photos = metrics.confusion(*counted), mean_over_repeats(own)
    predicted = metrics.most_probable(photos.probabilities, photos.labels)
    return BestPair(
        confusion=confusion,
        confusion_percent=metrics.percent_of_rows(confusion.matrix),
        per_label=metrics.per_label(*counted),
        misclassified=nearest_in_folds(table, best.features, folds, misclassified(own)),
        wrong_every_time=misclassified_by_all(predictions, best.features),
        hardest=hardest(predictions, best.features),
        label_suspects=label_suspects(photos),
        superclasses=superclass_errors(photos.label, predicted, superclasses) if superclasses else None,
    )


def _complaints(predictions: Predictions) -> list[str]:
    """What the heads warned of while fitting, each once, with the number of fits concerned."""
    counts = Counter(
        (row["head"], row["features"], text)
        for row in predictions.times.to_dict("records")
        for text in row["complaints"]
    )
    n_folds = len(predictions.times) // len(predictions.pairs())
    return [f"{h} on {f}: {text} ({n} of {n_folds} fits)" for (h, f, text), n in sorted(counts.items())]
