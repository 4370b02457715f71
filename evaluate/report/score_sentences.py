"""What is said of scores: of results, of labels and trees of them, of the best pair, of a learning curve."""

from collections.abc import Mapping

from evaluate.report.words import NAMED_AT_MOST, agree, count, interval_in_words, listed, number, percent
from evaluate.results import ComparisonRecord, CurveMeasurements, CurveRecord, ResultRow, TestScores
from evaluate.scores.metrics import Confusion, LabelScores, OperatingScores, PositiveScores, Scores
from evaluate.scores.mistakes import SuperclassErrors, non_dummy_heads
from evaluate.statistics.hierarchy import HierarchicalScores, TreeScores
from evaluate.statistics.intervals import Interval, ShareIntervals
from evaluate.statistics.per_group import GroupRow, PerGroup

MANY_SUSPECTS = 0.15  # a weak head contradicts labels for its own faults
CLEAR_GAIN = 0.01
FEW_TESTED = 5  # photos of a label: of fewer, the share that is found is no statement


def ranking_in_words(value: float | None, interval: Interval | None) -> str:
    """``0.912 (0.871 to 0.942)``, or ``unknown``."""
    ends = "" if interval is None else f" ({interval.low:.3f} to {interval.high:.3f})"
    return number(value) + ends


def rankings_in_words(scores: ResultRow | TestScores | GroupRow) -> str:
    """``ROC AUC 0.912 (0.871 to 0.942), average precision 0.880 (0.795 to 0.933)``."""
    roc_auc = ranking_in_words(scores.roc_auc, scores.intervals.roc_auc)
    average = ranking_in_words(scores.average_precision, scores.intervals.average_precision)
    return f"ROC AUC {roc_auc}, average precision {average}"


def scores_in_words(scores: ResultRow | TestScores) -> list[str]:
    """The scores of all labels together, on two or three lines."""
    lines = [
        f"balanced accuracy {percent(scores.balanced_accuracy)} %, macro F1 {percent(scores.macro_f1)} %",
        rankings_in_words(scores),
        f"log loss {scores.log_loss:.3f}, Brier score {scores.brier:.3f}, "
        f"calibration error {scores.calibration_error:.3f}"
        + "".join(f", top {k} {percent(share)} %" for k, share in scores.top_k.items()),
    ]
    return lines + ([positive_in_words(scores)] if scores.positive else [])


def positive_in_words(scores: ResultRow | TestScores | GroupRow) -> str:
    """``ill: sensitivity 75.0 % (40.9 to 92.9), specificity 83.3 % (55.2 to 95.3), precision 75.0 %``."""
    found = scores.positive
    assert found is not None
    return f"{found.label}: {_three_shares(found, scores.intervals.positive, 'unknown')}"


def operating_point_in_words(scores: TestScores) -> str:
    """What an operating point does: ``ill is predicted at probability ≥ 0.2000 (recall=0.95): sensitivity 95.0 % ...``.

    What was to be expected of it follows, where the model says so.
    """
    found, promise = scores.operating_point, scores.expected
    assert found is not None
    words = (
        f"{found.positive} is predicted at probability ≥ {found.threshold:.4f} ({found.rule}): "
        f"{_three_shares(found, scores.intervals.operating_point, 'of nothing')}"
    )
    if promise is None or promise.sensitivity is None or promise.specificity is None:
        return words
    return (
        f"{words}; to be expected after the training were sensitivity {interval_in_words(promise.sensitivity)} and "
        f"specificity {interval_in_words(promise.specificity)}"
    )


def _three_shares(
    found: PositiveScores | OperatingScores, intervals: ShareIntervals | None, missing: str
) -> str:
    known: Mapping[str, Interval | None] = intervals or {}
    shares = {
        "sensitivity": found.sensitivity,
        "specificity": found.specificity,
        "precision": found.precision,
    }

    def in_words(name: str, share: float | None) -> str:
        interval = known.get(name)
        if interval is not None:
            return interval_in_words(interval)
        return missing if share is None else f"{percent(share)} %"

    return ", ".join(f"{name} {in_words(name, share)}" for name, share in shares.items())


def per_group_in_words(found: PerGroup) -> str:
    """``each of the 40 groups is predicted once: the mean of the probabilities of its photos``."""
    alone = f" ({found.alone} of them single photos without a group)" if found.alone else ""
    return f"Each of the {found.groups} groups{alone} is predicted once: {found.words}"


def superclasses_in_words(found: SuperclassErrors) -> str:
    """``59 of 60 errors cross from one super-class to another, 1 stays inside``."""
    if not found.errors:
        return "there are no errors, neither inside a super-class nor across"
    return (
        f"{found.crossing} of {count(found.errors, 'error')} {agree(found.errors, 'crosses', 'cross')} from one "
        f"super-class to another, {found.inside} {agree(found.inside, 'stays', 'stay')} inside"
    )


def tree_in_words(found: TreeScores) -> list[str]:
    """What a tree of the labels says, one sentence each: levels, hierarchical scores, answers."""
    levels = "; ".join(
        f"level {one.level} ({count(one.names, 'name')}) {interval_in_words(one.accuracy)}, "
        f"calibration error {percent(one.calibration_error)} points"
        for one in found.levels
    )
    lines = [f"right by level: {levels}", f"labels in the tree: {hierarchical_in_words(found.hierarchical)}"]
    if (told := found.answers) is None:
        return lines
    asked = f"answers of which {100 * told.asked:g} % shall be right"
    if told.right is None:
        return [*lines, f"{asked}: no probability promises that, so no photo gets one"]
    right = f"{asked}: {interval_in_words(told.right)} are"
    missing = sum(one is None for one in told.thresholds)
    if missing:
        right += (
            f"; {missing} of {len(told.thresholds)} folds have no threshold that promises it, and no answers"
        )
    kinds = [f"{interval_in_words(told.as_label)} of the photos get a label"]
    if told.right_label:
        kinds[0] += f", right in {interval_in_words(told.right_label)}"
    kinds.append(f"{interval_in_words(told.general)} a more general answer")
    if told.right_general:
        kinds[1] += f", right in {interval_in_words(told.right_general)}"
    kinds.append(f"{interval_in_words(told.none)} none")
    answers = f"answers in the tree: {hierarchical_in_words(told.hierarchical)}"
    return [*lines, right, "; ".join(kinds), answers]


def hierarchical_in_words(found: HierarchicalScores) -> str:
    """``hierarchical precision 93.1 % (91.0 to 95.2), recall …, F1 …``."""
    named = {"precision": found.precision, "recall": found.recall, "F1": found.f1}
    known = [f"{name} {interval_in_words(one)}" for name, one in named.items() if one is not None]
    return f"hierarchical {', '.join(known)}"


def labels_in_words(per_label: Mapping[str, LabelScores], confusion: Confusion) -> list[str]:
    """The level that guessing reaches, and the label that is found worst, with what it is taken for."""
    tested = {name: scores for name, scores in per_label.items() if scores.support}
    guess = guess_in_words(tested)
    comma = "," * guess.endswith(", the commonest label")
    share = percent(commonest_label(tested)[1])
    sentences = [f"Always answering {guess}{comma} would be right on {share} %."]
    judged = {name: scores for name, scores in tested.items() if scores.support >= FEW_TESTED}
    worst = min(judged, key=lambda name: judged[name].recall, default=None)
    if worst is not None and judged[worst].recall < 1.0:
        row = confusion.matrix[confusion.labels.index(worst)]
        wrong = {name: n for name, n in zip(confusion.labels, row, strict=True) if n and name != worst}
        most = [name for name, n in wrong.items() if n == max(wrong.values())]
        taken = "taken" if len(wrong) == 1 else "most often taken"
        missed = f"{taken} for {listed(most)}" if len(most) <= 2 else "taken for several labels alike"
        sentences.append(
            f"Hardest to find is {worst}: {percent(judged[worst].recall)} % of its photos are found, and what is "
            f"missed is {missed}."
        )
    return sentences


def guess_in_words(per_label: Mapping[str, LabelScores]) -> str:
    """Whom a guess without a look names: ``moss, the commonest label``; any of several that are equally common."""
    commonest, _ = commonest_label(per_label)
    n_alike = sum(one.support == per_label[commonest].support for one in per_label.values())
    return f"{commonest}, the commonest label" if n_alike == 1 else f"one of {n_alike} equally common labels"


def no_better_than_guessing(scores: Scores, accuracy: Interval, who: str) -> str:
    """That an accuracy is not above that of always answering the commonest label; empty where it is.

    Its balanced accuracy stands beside it: where one label is most of the photos, a head may be worse than always
    answering it and still tell the labels apart.
    """
    _, share = commonest_label(scores.per_label)
    labels = sum(1 for one in scores.per_label.values() if one.support)
    if accuracy.low > share or labels < 2:
        return ""
    how = "is below" if accuracy.mean < share else "is not shown to be above"
    return (
        f"{who}, right on {interval_in_words(accuracy)}, {how} the {percent(share)} % of always answering "
        f"{guess_in_words(scores.per_label)}; its balanced accuracy is {percent(scores.balanced_accuracy)} %, and "
        f"guessing has {percent(1 / labels)} %."
    )


def commonest_label(per_label: Mapping[str, LabelScores]) -> tuple[str, float]:
    """The label of most of the tested photos, and its share of them."""
    commonest = max(per_label, key=lambda name: per_label[name].support)
    return commonest, per_label[commonest].support / sum(one.support for one in per_label.values())


def tuned_in_words(row: ResultRow) -> str:
    """``svm on glcm chose in 5 folds: svm:C=1 (4), svm:C=10 (1)``."""
    tuned = row.tuned or []
    counts = {spec: tuned.count(spec) for spec in dict.fromkeys(tuned)}
    chosen = ", ".join(f"{spec} ({n})" for spec, n in sorted(counts.items(), key=lambda pair: -pair[1]))
    return f"{row.name} chose in {len(tuned)} folds: {chosen}"


def best_in_words(found: ComparisonRecord) -> list[str]:
    """What there is to say of the best result beyond its accuracy, one sentence each."""
    row, best = found.results[0], found.best
    heads = non_dummy_heads(
        (one.head, one.classifier) for one in found.results if one.features == row.features
    )
    lines = [f"{row.name}: {rankings_in_words(row)}."] if row.roc_auc is not None else []
    if row.positive:
        lines.append(f"{row.name}, {positive_in_words(row)}.")
    if best.superclasses:
        lines.append(f"{row.name}: {superclasses_in_words(best.superclasses)}.")
    if best.taxonomy:
        lines += [f"{row.name}, {line}." for line in tree_in_words(best.taxonomy)]
    by_all, suspects = len(best.wrong_every_time), len(best.label_suspects)
    if found.folds.repeats * len(heads) > 1 and by_all:
        lines.append(f"Misclassified by every head and repeat on {row.features}: {by_all}; inspect them.")
    if suspects > MANY_SUSPECTS * found.folds.tested:
        lines.append(
            f"The best head contradicts {suspects} labels of {found.folds.tested}: too many to be inspected; a "
            "better head, or better features, would point at fewer."
        )
    elif suspects:
        lines.append(f"Labels that the best head contradicts with confidence: {suspects}; inspect them.")
    return lines


def curve_in_words(found: CurveMeasurements | CurveRecord) -> list[str]:
    """Sentences on what more photos may bring; every number beyond the measured sizes is called a guess."""
    if not found.fit:
        return ["Four sizes or more are needed to say what more photos may bring."]
    sentences = [
        f"A guess: with {guess.images_per_label} images per label {percent(guess.accuracy)} % "
        f"({percent(guess.low)} to {percent(guess.high)})."
        for guess in found.guesses
    ]
    gains = {name: gain.gain for name, gain in found.gains.items() if gain and gain.gain >= CLEAR_GAIN}
    order = sorted(gains, key=lambda name: -gains[name])
    named = [f"{name} ({100 * gains[name]:+.1f} points of recall)" for name in order[:3]]
    unknown = [name for name, gain in found.gains.items() if gain is None]
    if named:
        sentences.append(f"A guess: twice as many photos of every label help {', then '.join(named)}.")
    elif len(unknown) < len(found.gains):
        those = "no other label gains" if unknown else "no label gains"
        sentences.append(f"A guess: {those} a point from twice as many photos of every label.")
    if unknown:
        names = listed(unknown[:NAMED_AT_MOST] + ["others"] * (len(unknown) > NAMED_AT_MOST))
        sentences.append(
            f"What twice as many photos bring {names} is not told: they have too few for all sizes."
        )
    if found.advice:
        label = found.advice.label
        told = (
            f"photograph more {label}"
            if label
            else "these photos do not tell which label to photograph first"
        )
        sentences.append(f"A guess: {told}.")
    return sentences
