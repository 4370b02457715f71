"""Every sentence that evaluate says: of records, for the terminal, the report and the methods paragraph alike."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from evaluate.provenance import CorrectedLabels, DataFacts, Features, FoldFacts
from evaluate.report.words import (
    agree,
    count,
    interval_in_words,
    listed,
    number,
    percent,
    points_in_words,
    sentence,
)
from evaluate.results import (
    BorderScores,
    ComparisonRecord,
    CurveMeasurements,
    CurveRecord,
    DuplicatesRecord,
    NearDuplicates,
    ResultRow,
    Shortcuts,
    TestScores,
)
from evaluate.scores.metrics import Confusion, LabelScores, OperatingScores, PositiveScores, Scores
from evaluate.scores.mistakes import SuperclassErrors, non_dummy_heads
from evaluate.statistics.differences import PairComparison
from evaluate.statistics.hierarchy import HierarchicalScores, TreeScores
from evaluate.statistics.intervals import Interval, ShareIntervals
from evaluate.statistics.per_group import GroupRow, PerGroup
from featurize.id_columns import PHASH
from featurize.imported import is_imported

MANY_SUSPECTS = 0.15  # a weak head contradicts labels for its own faults
CLEAR_GAIN = 0.01
NAMED_AT_MOST = 10
BYTES = "their bytes alone"
# Simulated in tests/benchmarks/statistics_simulation.py and verdicts_by_folds.py.
AHEAD_IS_NO_CLAIM = (
    "'Is ahead' is no claim: of 100 tables without any difference 4 say it of two heads, 9 of six pairs of features "
    "and head, and 20 of four equally good heads."
)
# Which of the numbers of a difference answers what; one fold knows nothing of heads trained on other photos.
WHAT_DECIDES = (
    "The interval is over photos: how large the difference would be on other photos, with these heads. The p value and "
    "the probabilities are over folds: whether heads trained on other photos would show it too. The verdict needs "
    "both: *beats* is an interval above 0 and a corrected p below 0.05, *is ahead* the interval alone."
)
WHAT_DECIDES_ONE_FOLD = (
    "The interval is over photos, the p value and the probabilities over the groups tested, all with these heads. The "
    "interval decides the verdict: *is ahead* is one above 0."
)
LIKELY = 0.9  # so probable a difference reads like a claim where there is none
FEW_TESTED = 5  # photos of a label: of fewer, the share that is found is no statement
# Families of `featurize.extractors` that describe texture and colour: parts of the one that has all of it.
WEAK_TEXTURES, STRONG_TEXTURE = ("glcm", "lbp", "color"), "texture"


def data_in_words(data: DataFacts, folds: FoldFacts) -> str:
    """``750 photos, 5 labels; 5 folds, the same for all; 6 byte-identical photos kept together``."""
    text = f"{data.images} photos"
    if data.distorted:
        text += f" and {data.distorted} distorted copies (in training only)"
    text += f", {len(data.labels)} labels; {count(folds.cv, 'fold')}"
    if folds.repeats > 1:
        text += f", {folds.repeats} times"
    text += ", the same for all"
    if folds.tested < data.images:
        text += f", which test {folds.tested} photos"
    if data.identical_images:
        text += f"; {data.identical_images} byte-identical photos kept together"
    if data.images - data.groups > data.identical_images:
        text += f"; photos of a group kept together ({data.groups} groups)"
    return text


def data_warnings(data: DataFacts, features: Features) -> list[str]:
    """What a careful reader should know about the data before believing a number, one sentence each."""
    found = []
    for images in data.conflicting_labels:
        labels = " and ".join(sorted({one.label for one in images}))
        names = ", ".join(one.image for one in images)
        found.append(
            f"byte-identical photos carry different labels ({labels}): {names}; at least one label is wrong"
        )
    if len(found) > NAMED_AT_MOST:
        more = len(found) - NAMED_AT_MOST
        found = [*found[:NAMED_AT_MOST], f"{more} more contents stand under several labels"]
    doubts = {part: _doubt(entry) for part, entry in features.items()}
    return found + [f"{part}: {doubt}" for part, doubt in doubts.items() if doubt]


def corrections_in_words(found: CorrectedLabels, accuracy: Interval | None = None) -> list[str]:
    """What was done to labels by hand, and what that does to the `accuracy`, which is that under the new labels.

    One sentence, or none where no label was made by hand.
    """
    parts = [
        f"{count(number, noun)} {agree(number, 'was', 'were')} {done}"
        for number, noun, done in (
            (found.corrected, "label", "corrected by hand"),
            (found.confirmed, "label", "confirmed"),
            (found.labelled, "photo", "labelled by hand"),
            (found.dropped, "photo", "dropped by hand"),
        )
        if number
    ]
    told = [listed(parts)] if parts else []
    if found.tested and accuracy is not None and found.accuracy_before is not None:
        checked = "none that it agrees with was checked"
        if found.agreed:
            checked = f"{found.agreed} that it agrees with {agree(found.agreed, 'was', 'were')} checked too"
        those = count(found.tested, "tested photo")
        told += [
            f"of the {those} with a corrected label the model disputes the old one in {found.disputed}, and {checked}",
            f"under the new labels {interval_in_words(accuracy)} are right, under the old ones "
            f"{interval_in_words(found.accuracy_before)}; correcting only what a model disputes flatters it",
        ]
    return ["; ".join(told)] if told else []


def is_whole(entry: Mapping[str, Any] | None, family: str) -> bool:
    """Whether a column is of that family, and of the whole photo: its border or centre alone is a control."""
    params = (entry or {}).get("params") or {}
    return (entry or {}).get("family") == family and not params.get("region")


def weak_opponent_in_words(features: Features, held: Features) -> str:
    """That a network is compared with weak texture alone, and which texture is stronger; empty where it is not so.

    `features` are those compared, `held` those of the table.
    """
    families = {part: (entry or {}).get("family") for part, entry in features.items()}
    networks = [
        part for part, entry in features.items() if (entry or {}).get("weights") or is_imported(entry)
    ]
    weak = [part for part, family in families.items() if family in WEAK_TEXTURES]
    if not networks or not weak or any(is_whole(entry, STRONG_TEXTURE) for entry in features.values()):
        return ""
    columns = [part for part, entry in held.items() if is_whole(entry, STRONG_TEXTURE)]
    to_do = (
        f"add {columns[0]} to --features"
        if columns
        else "`featurize extract SOURCE --features … texture` makes it"
    )
    are = agree(len(networks), "is", "are")
    return (
        f"{listed(networks)} {are} compared with {listed(weak)} alone; `{STRONG_TEXTURE}` is the stronger opponent "
        f"({to_do})"
    )


def folds_warnings(folds: FoldFacts) -> list[str]:
    """That folds of one label alone cannot judge everything, and what was done about it; none for other folds."""
    base, n_folds = folds.base_rate, folds.cv * folds.repeats
    if not base.one_label or base.share == 1:
        return []
    which = "the fold tests" if n_folds == 1 else f"{base.one_label} of {n_folds} folds test"
    return [
        f"{which} photos of one label alone, and {agree(n_folds, 'its', 'their')} training has fewer of it than the "
        "whole: a head that only knows how common labels are is then wrong more often than by guessing. So no "
        f"difference is called settled, what does worse than always answering {base.label} ({percent(base.share)} % "
        "right) is counted as if it did that, dummies know all labels, and ROC AUC and average precision leave these "
        "folds out"
    ]


def _doubt(entry: Mapping[str, Any] | None) -> str:
    """Why the origin of these vectors limits what the numbers mean; empty when nothing does."""
    if not entry:
        return "the table does not say how these vectors were made"
    if is_imported(entry):
        return "imported vectors; which network and preprocessing made them is not known"
    if (entry.get("weights") or {}).get("source") == "random":
        return "made by a network with random, untrained weights (weights=random), not by a trained one"
    return "; ".join(entry.get("remarks") or ())


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


def differences_in_words(pairs: Sequence[PairComparison], beside: FoldFacts | None = None) -> list[str]:
    """A sentence for each comparison, and what *is ahead* means where one says it.

    Short ones where a table stands `beside` them, of comparisons on these folds: its probabilities are not said again.
    """
    said = [
        sentence(pair.words if beside is None else difference_in_words(pair, beside, with_chances=False))
        for pair in pairs
    ]
    ahead = any(pair.verdict == "ahead" for pair in pairs)
    if beside is not None:
        return said + [AHEAD_IS_NO_CLAIM] * ahead
    if ahead or any(pair.verdict == "undecided" and pair.probability.better >= LIKELY for pair in pairs):
        said.append(WHAT_DECIDES.replace("*", "'"))
    return said + [AHEAD_IS_NO_CLAIM] * ahead


def what_decides(one_fold: bool) -> str:
    """Which number of a difference answers which question, and which of them decides the verdict."""
    return WHAT_DECIDES_ONE_FOLD if one_fold else WHAT_DECIDES


def difference_in_words(
    pair: PairComparison, folds: FoldFacts | None = None, with_chances: bool = True
) -> str:
    """Who beats whom by how many points, or that they cannot be told apart; and how probable it is.

    ``inception_v3 (svm) beats glcm (mlp) by 31 points (27 to 35)``. The three probabilities follow where they are
    wanted, unless one of them is 99 % and says the same again.
    """
    if pair.compares == "features":
        (first, second), where = (f"{side.features} ({side.head})" for side in (pair.one, pair.other)), ""
    else:
        first, second, where = pair.one.head, pair.other.head, f"on {pair.one.features}, "
    if pair.base_rate is not None and folds:
        second += (
            f", counted as always answering {folds.base_rate.label} ({percent(pair.base_rate)} % right),"
        )
    span, chances = points_in_words(pair.difference, pair.low, pair.high), pair.probability
    counted = ""
    if pair.same_in_every_fold:
        counted = f" (the same in every {'group tested' if folds and folds.one else 'fold'}, so photos were counted)"
    if pair.verdict == "beats" and chances.better >= 0.99:
        return f"{where}{first} beats {second} by {span}{counted}"
    odds = (
        f"; {100 * chances.better:.0f} % probability that the first is better by more than {pair.rope:g} "
        f"point{'s' * (pair.rope != 1)}, {100 * chances.same:.0f} % that neither is, {100 * chances.worse:.0f} % that "
        f"the second is{counted}"
    )
    if not with_chances:
        odds = counted
    if pair.verdict == "beats":
        return f"{where}{first} beats {second} by {span}{odds}"
    if pair.high < 0:
        return f"{where}{first} is not better than {second}: the difference is {span}{odds}"
    if pair.verdict == "undecided":
        return f"{where}{first} and {second} cannot be told apart: the difference is {span}{odds}"
    # Alone it would do; among many questions one such answer is to be expected from luck.
    alone = pair.p_value < 0.05 <= pair.p_holm
    why = f"among {pair.family} comparisons" if alone else "for other training photos"
    if folds and folds.base_rate.one_label:
        why = "by folds that test one label alone"
    return f"{where}{first} is ahead of {second} on these photos by {span}, not settled {why}{odds}"


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


def alike_in_words(found: NearDuplicates | DuplicatesRecord) -> str:
    """From which similarity, and by what: ``cosine ≥ 0.97 by inception_v3``, ``54 of 64 bits of phash equal``."""
    if found.features == PHASH:
        return f"{math.ceil(64 * (found.threshold or 0))} of 64 bits of {PHASH} or more equal"
    return f"cosine ≥ {found.threshold:g} by {found.features}"


def near_duplicates_in_words(found: NearDuplicates, interval: Interval, by_groups: bool) -> str:
    """What near-duplicates do to `interval`, the accuracy of the best pair; empty when there is nothing to say."""
    apart, together = found.accuracy_at_random, found.accuracy_together
    if apart is not None and together is not None and percent(apart) != percent(together):
        how = "folds by the given groups alone" if by_groups else "random folds"
        words = (
            f"accuracy is {percent(apart)} % with {how} and {percent(together)} % when near-duplicates stay in one "
            f"fold ({found.images} photos, {alike_in_words(found)})"
        )
        again = together if apart == interval.mean else apart
        if interval.low <= again <= interval.high:
            words += "; new folds alone can explain that much"
        return words + "; --group-duplicates applies it everywhere" * bool(found.parted)
    if not found.parted:
        return ""
    either_way = f" ({percent(interval.mean)} % either way)" if apart is not None else ""
    return (
        f"{count(found.parted, 'photo')} {agree(found.parted, 'was', 'were')} tested by heads trained on a "
        f"near-duplicate ({alike_in_words(found)}); `evaluate duplicates` lists them, "
        f"--group-duplicates keeps them together{either_way}"
    )


def shortcuts_in_words(found: Shortcuts) -> str:
    """How well camera, file and mean colours alone predict the labels, and what follows."""
    measured = (
        "camera, file and mean colours alone (nuisance) predict the labels with a balanced accuracy of "
        f"{percent(found.balanced_accuracy)} %, where chance is {percent(found.chance)} %"
    )
    if not found.found:
        return f"{measured} and the best features reach {percent(found.best)} %"
    strongest = [f", {kind} alone with {percent(alone)} %" for kind, alone in found.kinds.items()][:1]
    return f"{measured}{''.join(strongest)}: the heads may be reading these and not the subject"


def border_in_words(found: BorderScores) -> str:
    """What a head that sees the border alone is worth against one that sees the whole photo, and what follows."""
    border, whole = found.border_accuracy.mean, found.whole_accuracy.mean
    ends = found.difference.difference, found.difference.low, found.difference.high
    against = (
        f"{percent(border)} % right against {percent(whole)} %, whole minus border {points_in_words(*ends)}"
    )
    if found.centre_accuracy is not None:
        against += f"; the centre alone reaches {percent(found.centre_accuracy.mean)} %"
    named = f"({found.border}, {found.head})"
    if not found.found:
        return f"the border of the photos alone {named} tells the labels less well than the whole photo: {against}"
    return (
        f"the border of the photos alone {named} tells the labels as well as the whole photo: {against}; "
        "the heads may be reading the border and not the subject"
    )


def shared_with_test_in_words(n_shared: int, n_training: int) -> str:
    """That photos to train on are in the test table too, and were left out."""
    return (
        f"{n_shared} of the {n_training} photos to train on {agree(n_shared, 'is', 'are')} in the test table too, or "
        "in one group with a photo of it; the heads were trained without them"
    )


def contamination_in_words(
    n_images: int, n_seen: int, n_near: int, n_grouped: int, *, compared: int, threshold: float
) -> str:
    """How many of the test photos a model knows, and what to believe; not for none."""
    of_all = f" of the {n_images} test photos"
    parts: list[str] = []
    if n_seen:
        which = "all" if n_seen == n_images else n_seen
        parts.append(f"{which}{of_all} {agree(n_seen, 'was', 'were')} in the model's training set")
    if n_near:
        are = agree(n_near, "is a near-duplicate", "are near-duplicates")
        parts.append(
            f"{n_near}{' more' if parts else of_all} {are} of one of the {compared} training photos compared "
            f"({threshold:g} or more alike)"
        )
    if n_grouped:
        share = agree(n_grouped, "shares", "share")
        parts.append(f"{n_grouped}{' more' if parts else of_all} {share} a group with a training photo")
    all_known = n_seen + n_near + n_grouped == n_images
    advice = "nothing here says how it does on new photos" if all_known else "believe the unseen ones"
    return f"{listed(parts)}; {advice}"


def known_in_words(found: TestScores) -> str:
    """Which of the tested photos a model knew: ``3 of them were in its training set, and 2 nearly``."""
    seen, near, grouped = found.seen, found.near or 0, found.grouped or 0
    parts = [f"{seen} of them {agree(seen, 'was', 'were')} in its training set"] if seen else []
    if near:
        same = f"of them {agree(near, 'is', 'are')} nearly the same as one of its training set"
        parts.append(f"{near} nearly" if parts else f"{near} {same}")
    if grouped:
        share = agree(grouped, "shares", "share")
        parts.append(
            f"{grouped}{'' if parts else ' of them'} {share} a group with a photo of its training set"
        )
    return ", and ".join(filter(None, [", ".join(parts[:-1]), parts[-1]]))


def duplicates_in_words(found: DuplicatesRecord) -> list[str]:
    """How many photos are in a pair, and why that matters."""
    counts = found.counts
    if not found.pairs:
        return [
            f"None of the {found.images} photos is there twice, as far as {found.features or BYTES} can tell."
        ]
    share = 100 * counts.images / found.images
    sentences = [f"{counts.images} of the {found.images} photos ({share:.1f} %) are in a pair."]
    if counts.conflict:
        carry = f"{count(counts.conflict, 'pair')} {agree(counts.conflict, 'carries', 'carry')}"
        sentences.append(
            f"{carry} two labels: at least one of them is wrong, or the photos are not the same after all."
        )
    return [
        *sentences,
        "A photo whose twin is in the training set is recognised rather than classified: "
        "--group-duplicates keeps them on one side.",
    ]


def missing_thumbnails_in_words(n_missing: int) -> str:
    """``3 thumbnails are missing: their photos are``, to be followed by ``not under FOLDER``."""
    return (
        f"{count(n_missing, 'thumbnail')} {agree(n_missing, 'is', 'are')} missing: "
        f"{agree(n_missing, 'its photo is', 'their photos are')}"
    )
