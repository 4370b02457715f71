"""What is said of the data: what they are, and what in them may flatter or limit every number."""

import math
from collections.abc import Mapping
from typing import Any

from evaluate.provenance import CorrectedLabels, DataFacts, Features, FoldFacts
from evaluate.report.words import (
    NAMED_AT_MOST,
    agree,
    count,
    interval_in_words,
    listed,
    percent,
    points_in_words,
)
from evaluate.results import BorderScores, DuplicatesRecord, NearDuplicates, Shortcuts, TestScores
from evaluate.statistics.intervals import Interval
from featurize.id_columns import PHASH
from featurize.imported import is_imported

BYTES = "their bytes alone"


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


def _doubt(entry: Mapping[str, Any] | None) -> str:
    """Why the origin of these vectors limits what the numbers mean; empty when nothing does."""
    if not entry:
        return "the table does not say how these vectors were made"
    if is_imported(entry):
        return "imported vectors; which network and preprocessing made them is not known"
    if (entry.get("weights") or {}).get("source") == "random":
        return "made by a network with random, untrained weights (weights=random), not by a trained one"
    return "; ".join(entry.get("remarks") or ())


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
