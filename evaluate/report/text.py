"""What the commands print: tables in columns, between the sentences that all outputs share."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from evaluate.report.data_sentences import BYTES, data_in_words
from evaluate.report.difference_sentences import differences_in_words
from evaluate.report.score_sentences import (
    best_in_words,
    curve_in_words,
    no_better_than_guessing,
    operating_point_in_words,
    per_group_in_words,
    positive_in_words,
    ranking_in_words,
    scores_in_words,
    superclasses_in_words,
    tree_in_words,
    tuned_in_words,
)
from evaluate.report.words import count, interval_in_words, n_photos, one_a_line, percent, sentence
from evaluate.results import (
    BestPair,
    ComparisonRecord,
    CurveMeasurements,
    CurveRecord,
    DuplicatesRecord,
    Result,
    TestRecord,
)
from evaluate.scores.metrics import Confusion, Scores
from evaluate.scores.mistakes import non_dummy_heads
from evaluate.statistics.per_group import PerGroup
from featurize.terminal import aligned, printable

if TYPE_CHECKING:
    from featurize.table import FeatureTable

SHOWN_MISTAKES = 10
SHOWN_LABELS = 10
SHOWN_PAIRS = 40
CONFUSION_COLUMNS = 12
SHARES = ("confidence", "probability", "suggested_probability")  # from 0 to 1 in JSON, per cent in print
INTERVALS = "intervals: Wilson on one prediction per photo, wider where folds share training photos"


def as_text(found: Result) -> str:
    """What a command prints of its result."""
    if isinstance(found, ComparisonRecord):
        return comparison_as_text(found)
    if isinstance(found, TestRecord):
        return test_as_text(found)
    return curve_as_text(found) if isinstance(found, CurveRecord) else duplicates_as_text(found)


def table_as_text(header: Sequence[str], rows: Sequence[Sequence[str]], left: int) -> str:
    """A table in columns, names in it printable; the first `left` columns start at the left, the others end right."""
    cells = [[printable(cell) for cell in row] for row in (header, *rows)]
    return "\n".join(aligned(cells, right=range(left, len(header))))


def comparison_as_text(found: ComparisonRecord) -> str:
    """What `evaluate compare` prints: the table, the differences in words, the warnings."""
    header = ["", "features", "head", "accuracy (95 % interval)", "macro F1 %", "log loss"]
    header += ["fit seconds", "ms/photo", "model kB"]
    rows = [
        [
            "*" if place == 0 else "",
            row.features,
            row.head,
            interval_in_words(row.accuracy),
            percent(row.macro_f1),
            f"{row.log_loss:.3f}",
            f"{row.fit_seconds:.2f}",
            f"{1000 * row.predict_seconds_per_image:.2f}",
            "?" if row.model_bytes is None else f"{row.model_bytes / 1000:,.0f}",
        ]
        for place, row in enumerate(found.results)
    ]
    best = found.results[0]
    return _paragraphs(
        printable(no_better_than_guessing(best, best.accuracy, f"The best, {best.name}")),
        data_in_words(found.data, found.folds),
        table_as_text(header, rows, left=3) + f"\n* best; {INTERVALS}",
        one_a_line(tuned_in_words(row) for row in found.results if row.tuned),
        one_a_line(differences_in_words(found.comparisons)),
        one_a_line(best_in_words(found)),
        groups_as_text(found.per_group) if found.per_group else "",
        _measurements(found.learning_curve) if found.learning_curve else "",
        _warnings(found.warnings),
    )


def test_as_text(found: TestRecord, shown_mistakes: int = SHOWN_MISTAKES) -> str:
    """What `evaluate test` prints: accuracy, scores by label, the most confident mistakes, the warnings."""
    scores, details = found.scores, found.details
    lines = [
        f"accuracy {interval_in_words(scores.accuracy_interval)} on {found.data.images} photos; 95 %, Wilson"
    ]
    if scores.unseen:
        lines.append(
            f"accuracy {interval_in_words(scores.unseen.accuracy_interval)} on the {scores.unseen.images} not seen in "
            "training" + ", nor nearly" * bool(scores.near)
            + ", nor in a group with one that was" * bool(scores.grouped)
        )  # fmt: skip
    lines += scores_in_words(scores)
    if scores.operating_point:
        lines.append(operating_point_in_words(scores))
    if details.superclasses:
        lines.append(superclasses_in_words(details.superclasses))
    if details.taxonomy:
        lines += tree_in_words(details.taxonomy)
    wrong, mistakes = details.misclassified, ""
    if wrong and shown_mistakes:
        more = f" (the {shown_mistakes} most confident)" if len(wrong) > shown_mistakes else ""
        rows = [[one.image, one.label, one.predicted, percent(one.confidence)] for one in wrong]
        table = table_as_text(["image", "label", "predicted", "confidence %"], rows[:shown_mistakes], left=3)
        mistakes = f"{len(wrong)} misclassified{more}:\n{table}"
    who = f"The model, {found.model.head} on {found.model.features}"
    return _paragraphs(
        printable(no_better_than_guessing(scores, scores.accuracy_interval, who)),
        one_a_line(lines),
        labels_as_text(scores),
        confusion_as_text(details.confusion, details.confusion_percent),
        mistakes,
        groups_as_text(found.per_group) if found.per_group else "",
        _warnings(found.warnings),
    )


test_as_text.__test__ = False  # type: ignore[attr-defined]  # pytest collects functions by their name


def groups_as_text(found: PerGroup) -> str:
    """Scores per group: of every pair the most important, of the best its confusion and the groups that go wrong."""
    rows = [
        [
            row.features,
            row.head,
            interval_in_words(row.accuracy),
            percent(row.balanced_accuracy),
            percent(row.macro_f1),
            ranking_in_words(row.roc_auc, row.intervals.roc_auc),
        ]
        for row in found.results
    ]
    header = [
        "features",
        "head",
        "right per group (95 % interval)",
        "balanced accuracy %",
        "macro F1 %",
        "ROC AUC (95 % interval)",
    ]
    best = found.results[0]
    wrong, mistakes = found.misclassified, ""
    if wrong:
        more = f" (the {SHOWN_MISTAKES} most confident)" if len(wrong) > SHOWN_MISTAKES else ""
        lines = [
            [one.group, one.label, one.predicted, percent(one.confidence), str(one.photos)]
            for one in wrong[:SHOWN_MISTAKES]
        ]
        columns = ["group", "label", "predicted", "confidence %", "photos"]
        mistakes = (
            f"{count(len(wrong), 'group')} misclassified{more}:\n{table_as_text(columns, lines, left=3)}"
        )
    return _paragraphs(
        f"{sentence(per_group_in_words(found))}\n{table_as_text(header, rows, left=2)}",
        printable(f"{best.head} on {best.features}, {positive_in_words(best)}.") if best.positive else "",
        confusion_as_text(found.confusion, found.confusion_percent),
        mistakes,
    )


def labels_as_text(scores: Scores) -> str:
    """Precision, recall and F1 by label, and their averages."""
    named = scores.per_label | {f"{name} average": one for name, one in scores.averages.items()}
    rows = [
        [
            name,
            percent(one.precision),
            percent(one.recall),
            percent(one.f1),
            n_photos(one["support"]) if "support" in one else "",
        ]
        for name, one in named.items()
    ]
    return table_as_text(["label", "precision %", "recall %", "F1 %", "photos"], rows, left=1)


def confusion_as_text(confusion: Confusion, shares: Sequence[Sequence[float]]) -> str:
    """Counts, with per cent of the row behind; where there are too many labels for a line, where to look instead."""
    labels = confusion.labels
    if len(labels) > CONFUSION_COLUMNS:
        return f"The confusion of {len(labels)} labels is too wide to print; see --report or --json."
    rows = [
        [name, *(f"{n_photos(count)} ({share:.0f} %)" for count, share in zip(counts, row, strict=True))]
        for name, counts, row in zip(labels, confusion.matrix, shares, strict=True)
    ]
    return table_as_text(["true \\ predicted", *labels], rows, left=1)


def mistakes_as_text(found: ComparisonRecord | TestRecord) -> str:
    """What `--misclassified` prints: every misclassified image, and for a comparison the other lists."""
    best = found.details if isinstance(found, TestRecord) else found.best
    parts = [_listed("misclassified, most confident first", best.misclassified, ("predicted", "confidence"))]
    if isinstance(best, BestPair):
        assert isinstance(found, ComparisonRecord)
        features = found.results[0].features
        heads = non_dummy_heads(
            (row.head, row.classifier) for row in found.results if row.features == features
        )
        hard = "hardest: the true label is least probable over all heads"
        suspects = "label suspects: inspect them, a label or the photo may be odd"
        if found.folds.repeats * len(heads) > 1:  # else these are the same photos once more
            title = "misclassified by every head and repeat"
            parts.append(_listed(title, best.wrong_every_time, ("predicted",)))
        of_label = {"probability": "of its label", "suggested_probability": "of the suggested"}
        parts += [
            _listed(hard, best.hardest, ("predicted", "probability"), of_label),
            _listed(suspects, best.label_suspects, ("suggested", *reversed(of_label)), of_label),
        ]
    return _paragraphs(*parts)


def _listed(
    title: str,
    rows: Sequence[Mapping[str, Any]],
    more: Sequence[str],
    called: Mapping[str, str] | None = None,
) -> str:
    """A titled table with the columns `more` beside image and label, under other names where they are `called` so."""
    if not rows:
        return f"{title}: none"
    columns, called = ["image", "label", *more], called or {}
    shown = [[percent(row[name]) if name in SHARES else str(row[name]) for name in columns] for row in rows]
    header = [called.get(name, name) + " %" * (name in SHARES) for name in columns]
    return f"{title} ({len(rows)}):\n{table_as_text(header, shown, left=3)}"


def curve_as_text(found: CurveRecord) -> str:
    """What `evaluate curve` prints: the sizes, the guesses, and which labels gain most from more photos."""
    return _paragraphs(
        data_in_words(found.data, found.folds), _measurements(found), _warnings(found.warnings)
    )


def _measurements(found: CurveMeasurements | CurveRecord) -> str:
    """The head and the features, a table of the sizes, and the guesses."""
    labels = list(found.points[-1].recall)
    shown = labels if len(labels) <= SHOWN_LABELS else []
    rows = []
    for point in found.points:
        recall = [percent(point.recall[name]) for name in shown]
        rows.append([str(point.images_per_label), interval_in_words(point.accuracy), *recall])
    header = ["images per label (mean)", "accuracy (95 % interval)", *(f"{name} %" for name in shown)]
    title = f"{found.model.head} on {found.model.features} with ever more images per label"
    return _paragraphs(f"{title}\n{table_as_text(header, rows, left=0)}", "\n".join(curve_in_words(found)))


def duplicates_as_text(found: DuplicatesRecord) -> str:
    """What `evaluate duplicates` prints: what was compared, the counts, and the pairs."""
    counts = found.counts
    how = "every pair" if found.exact else "pairs in the same neighbourhood (approximate)"
    first = f"{found.images} photos, {how} compared by {found.features or BYTES}"
    near = f"{found.threshold:g} or more alike" if found.features else ""
    if not found.pairs:
        return f"{first}: none byte-identical" + f", none at {near}" * bool(near)
    rows = [
        [
            "identical" if pair.identical else f"{pair.similarity:.4f}",
            pair.image,
            pair.other,
            f"{pair.label} or {pair.other_label}?" if pair.conflict else "",
        ]
        for pair in found.pairs[:SHOWN_PAIRS]
    ]
    more = len(found.pairs) - SHOWN_PAIRS
    lines = [
        first,
        f"{counts.images} photos are in {len(found.pairs)} pairs: {counts.identical} byte-identical"
        + f", {counts.near} at {near}" * bool(near)
        + f"; {counts.conflict} with conflicting labels",
        "",
        table_as_text(["similarity", "image", "other", "label"], rows, left=4),
    ]
    return "\n".join(lines + ([f"and {more} more pairs, all in --json FILE.json"] if more > 0 else []))


def split_as_text(table: "FeatureTable") -> str:
    """What `evaluate split` prints: photos by label and side."""
    photos = table.filter(table.variant == 0)
    labels = [str(label) if label is not None else "no label" for label in photos.label]
    return _counts(labels, photos.split.tolist(), ("training", "validation", "testing"))


def folds_as_text(table: "FeatureTable", fold: Sequence[int | None]) -> str:
    """What `evaluate split --cv` prints: photos by label and fold."""
    names = [None if number is None else f"fold {number}" for number in fold]
    numbers = sorted({number for number in fold if number is not None})
    return _counts([str(label) for label in table.label], names, [f"fold {number}" for number in numbers])


def _counts(labels: Sequence[str], places: Sequence[str | None], columns: Sequence[str]) -> str:
    """Photos by label and by where they are, and all together."""
    counts = Counter(zip(labels, places, strict=True))
    rows = [[label, *(str(counts[label, name]) for name in columns)] for label in sorted(set(labels))]
    totals = [str(sum(place == name for place in places)) for name in columns]
    return table_as_text(["label", *columns], [*rows, ["all", *totals]], left=1)


def _warnings(warnings: Sequence[str]) -> str:
    return one_a_line(f"warning: {text}" for text in warnings)


def _paragraphs(*parts: str) -> str:
    return "\n\n".join(part for part in parts if part)
