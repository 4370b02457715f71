"""The gallery: every photo worth a look once, whatever the reasons, and a choice of its label.

`gallery_of` collects the photos; the page filters them by reason and by label, and writes corrections as a CSV.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from evaluate.report.words import agree, count
from evaluate.results import (
    BeforeRelabelling,
    BestPair,
    ComparisonRecord,
    DuplicatePair,
    TestDetails,
    TestRecord,
)
from evaluate.scores.mistakes import HardPhoto, MisclassifiedByAll, Mistake, NearestPhoto, Suspect
from featurize.pages import SMALL_PX, Thumbnails
from featurize.table import FeatureTable

# Of each reason at most so many photos.
SHOWN_PHOTOS = 60
SHOWN_LOOKS = 24
SHOWN_PAIRS = 12
SHOWN_TWINS = 3  # of one photo
LISTED_MISTAKES = 200
FIRST_SHOWN = 3
# The reasons, in the order in which they are offered.
REASONS = {
    "wrong": "misclassified",
    "every": "by every head",
    "suspect": "label suspects",
    "hard": "hardest",
    "twice": "duplicates",
}


@dataclass
class Twin:
    """A photo that is the same picture as another one."""

    image: str
    label: str | None
    similarity: float
    identical: bool


@dataclass
class Side:
    """One photo of a pair, and the other."""

    image: str
    label: str | None
    twin: Twin


@dataclass
class Entry:
    """A photo of the gallery: why it is there, what it was taken for, and what it resembles."""

    image: str
    label: str | None
    reasons: list[str] = field(default_factory=list)
    predicted: str = ""
    confidence: float | None = None
    nearest: Sequence[NearestPhoto] = ()
    suspect: Suspect | None = None
    hard: HardPhoto | None = None
    twins: list[Twin] = field(default_factory=list)

    @property
    def between(self) -> tuple[str, str]:
        """What stands behind the label: ``taken for`` and what it was taken for, or another doubt."""
        if self.predicted:
            return "taken for", self.predicted
        if self.suspect:
            return "or", self.suspect.suggested
        if self.hard and self.hard.predicted != self.label:
            return "most like", self.hard.predicted
        return "", ""

    @property
    def other(self) -> str:
        """The label that is offered first in place of its own."""
        return self.suspect.suggested if self.suspect else self.between[1]


@dataclass(frozen=True)
class Glance:
    """A photo at the top of the page: what it leads to, what is said of it, and smaller photos beside it."""

    target: str
    picture: str
    image: str
    words: tuple[str, str, str]
    note: str
    beside: Sequence[tuple[str, str]]


def entries_of(
    wrong: Sequence[Mistake],
    every: Sequence[MisclassifiedByAll],
    suspects: Sequence[Suspect],
    hardest: Sequence[HardPhoto],
    pairs: Sequence[DuplicatePair],
) -> list[Entry]:
    """The first photos of each list, each once, with all that any of the lists says of it."""
    twins = [side for pair in pairs for side in _sides(pair)]
    capped: list[tuple[Sequence[Any], int]] = [(wrong, SHOWN_PHOTOS), (every, SHOWN_LOOKS)]
    capped += [(suspects, SHOWN_PHOTOS), (hardest, SHOWN_LOOKS), (twins, 2 * SHOWN_PAIRS)]
    entries = {one.image: Entry(one.image, one.label) for rows, most in capped for one in rows[:most]}

    def mark(reason: str, rows: Sequence[Any]) -> Iterator[tuple[Entry, Any]]:
        for one in rows:
            if entry := entries.get(one.image):
                if reason not in entry.reasons:
                    entry.reasons.append(reason)
                yield entry, one

    for entry, one in mark("wrong", wrong):
        entry.predicted, entry.confidence, entry.nearest = one.predicted, one.confidence, one.nearest or ()
    for entry, one in mark("every", every):
        entry.predicted = entry.predicted or one.predicted
    for entry, one in mark("suspect", suspects):
        entry.suspect = one
    for entry, one in mark("hard", hardest):
        entry.hard = one
    for entry, one in mark("twice", twins):
        entry.twins = [*entry.twins, one.twin][:SHOWN_TWINS]
    return list(entries.values())


def _pairs(found: ComparisonRecord | TestRecord) -> list[DuplicatePair]:
    """Photos that are there twice, or, where nobody looked for them, those of the same bytes under several labels."""
    if isinstance(found, ComparisonRecord) and found.duplicates:
        return found.duplicates.pairs
    same = [pair for images in found.data.conflicting_labels for pair in pairwise(images)]
    return [DuplicatePair(one.image, one.label, two.image, two.label, 1.0, True, True) for one, two in same]


def _sides(pair: DuplicatePair) -> tuple["Side", "Side"]:
    """Both photos of a pair, each with the other one."""
    how = pair.similarity, pair.identical
    return (
        Side(pair.image, pair.label, Twin(pair.other, pair.other_label, *how)),
        Side(pair.other, pair.other_label, Twin(pair.image, pair.label, *how)),
    )


def gallery_of(
    of: str,
    found: ComparisonRecord | TestRecord,
    photos: Thumbnails,
    training: Thumbnails | None,
    heads: tuple[str, int] | None = None,
) -> dict[str, Any]:
    """What the page shows of the mistakes of `of`, and of other photos worth a look.

    `heads` are the features of a comparison and how many predictions of a photo were made on them.
    """
    details = found.best if isinstance(found, ComparisonRecord) else found.details
    wrong, several = details.misclassified, heads is not None and heads[1] > 1
    every: list[MisclassifiedByAll] = []
    suspects: list[Suspect] = []
    hardest: list[HardPhoto] = []
    totals = {"wrong": len(wrong)}
    if isinstance(details, BestPair):
        every = details.wrong_every_time if several else []
        suspects, hardest = details.label_suspects, details.hardest if wrong else []
        totals |= {"every": len(every), "suspect": len(suspects), "hard": len(hardest)}
    pairs = _pairs(found)
    if pairs:
        totals["twice"] = len({name for pair in pairs for name in (pair.image, pair.other)})
    entries = entries_of(wrong, every, suspects, hardest, pairs)
    counts = {reason: sum(reason in one.reasons for one in entries) for reason in REASONS}
    labels, before = list(details.confusion.labels), found.before_relabelling
    return {
        "of": of,
        "entries": entries,
        "reasons": [(key, title, counts[key]) for key, title in REASONS.items() if counts[key]],
        "sentences": _leads(of, totals, counts, heads[0] if heads else "", several),
        "total": len(wrong),
        "missing": sum(photos.thumbnail(one.image) is None for one in entries),
        "with_nearest": bool(training) and any(one.nearest for one in entries),
        "photos": photos,
        "training": training,
        "small": SMALL_PX,
        "before": before is not None,
        "data": _as_data(
            {
                "digest": found.data.digest,
                "labels": labels,
                **({} if before is None else {"choices": before.labels}),
                "photos": _choices(entries, labels, found.table, before),
            }
        ),
    }


def first_look(gallery: Mapping[str, Any]) -> list[Glance]:
    """Three confident mistakes for the top of the page, of different confusions where possible."""
    ids, photos, training = ids_of(gallery), gallery["photos"], gallery["training"]
    there = [one for one in gallery["entries"] if "wrong" in one.reasons and one.image in ids]
    kinds: dict[tuple[str | None, str], Entry] = {}
    for one in there:
        kinds.setdefault((one.label, one.predicted), one)
    first = list(kinds.values())
    glances = []
    for one in (first + [one for one in there if one not in first])[:FIRST_SHOWN]:
        near = [(training.thumbnail(n.image, SMALL_PX), n.label) for n in one.nearest] if training else []
        near = [(picture, label) for picture, label in near if picture]
        note = f"confidence {100 * one.confidence:.0f} %" if one.confidence is not None else ""
        if near:
            note = f"It resembles {', '.join(dict.fromkeys(label for _, label in near))}"
        words = (one.label or "", "taken for", one.predicted)
        glances.append(Glance(ids[one.image], photos.thumbnail(one.image), one.image, words, note, near))
    return glances


def first_pairs(pairs: Sequence[DuplicatePair], photos: Thumbnails) -> list[Glance]:
    """Three pairs for the top of the page."""
    glances = []
    for pair in pairs:
        picture, other = photos.thumbnail(pair.image), photos.thumbnail(pair.other)
        if picture and other:
            words = (
                (pair.label or pair.image, "or", pair.other_label or "") if pair.conflict else ("", "", "")
            )
            note = "byte-identical" if pair.identical else f"{pair.similarity:.4f} alike"
            glances.append(Glance("duplicates", picture, pair.image, words, note, [(other, pair.other)]))
        if len(glances) == FIRST_SHOWN:
            break
    return glances


def ids_of(gallery: Mapping[str, Any]) -> dict[str, str]:
    """By photo the id of its entry, for those that are shown: whoever needs the picture again takes it from there."""
    return {
        one.image: f"photo-{place}"
        for place, one in enumerate(gallery["entries"])
        if gallery["photos"].thumbnail(one.image)
    }


def mistakes_of(
    of: str, details: BestPair | TestDetails, gallery: Mapping[str, Any], several: bool
) -> dict[str, Any]:
    """The first 200 mistakes as rows, with what else speaks against their labels."""
    place = {one.image: n for n, one in enumerate(gallery["entries"])}
    every, suspects = set(), {}
    if isinstance(details, BestPair):
        every = {one.image for one in details.wrong_every_time} if several else set()
        suspects = {one.image: one.suggested for one in details.label_suspects}
    shown = [
        (one, place.get(one.image), one.image in every, suspects.get(one.image, ""))
        for one in details.misclassified[:LISTED_MISTAKES]
    ]
    doubts = any(row[2] or row[3] for row in shown)
    return {"of": of, "shown": shown, "total": len(details.misclassified), "doubts": doubts}


def _leads(
    of: str, totals: Mapping[str, int], counts: Mapping[str, int], features: str, several: bool
) -> list[tuple[str, str]]:
    """What is to be said of each reason: its title, and a sentence."""
    said = {"wrong": f"None: {of} got every photo right."}
    if n := totals["wrong"]:
        said["wrong"] = (
            f"{n} by {of}, most confident first. A confident mistake may be a wrong label: inspect it."
        )
    if several:
        said["every"] = f"None: every photo was predicted right by some head on {features}."
        if n := totals["every"]:
            said["every"] = (
                f"On {features}, no head in any repeat got {_these(n)} right. Such a photo is unlike the others of its "
                "label, or carries a wrong label."
            )
    if "suspect" in totals:
        said["suspect"] = "None: no label is contradicted with confidence."
        if n := totals["suspect"]:
            said["suspect"] = (
                f"A head trained on the other photos contradicts the label of {_these(n)} with confidence (confident "
                "learning). Inspect each: odd photos are suspected as well as wrong labels."
            )
    if counts["hard"]:
        said["hard"] = (
            "The photos whose own label all heads and repeats together hold least probable; not all of them are "
            "misclassified."
        )
    if n := totals.get("twice", 0):
        said["twice"] = (
            f"{count(n, 'photo')} {agree(n, 'is', 'are')} nearly or wholly the same as another one."
        )
    for reason, shown in counts.items():
        if reason in said and shown < totals.get(reason, 0):
            said[reason] += f" {shown} of them are shown, all are in the JSON."
    return [(REASONS[reason].capitalize(), said[reason]) for reason in REASONS if reason in said]


def _these(n: int) -> str:
    return agree(n, "this photo", f"these {n} photos")


def _choices(
    entries: Sequence[Entry], labels: Sequence[str], table: FeatureTable, before: BeforeRelabelling | None
) -> list[list[Any]]:
    """Of each photo its exact name and label, the numbers of what it was taken for and of the offer, and its content.

    Photos of the same content have the same number: they cannot have two labels. After a relabelling, the label from
    before it follows, and offers are of those: corrections come first.
    """
    number = {name: place for place, name in enumerate(labels)}
    offers = number if before is None else {name: place for place, name in enumerate(before.labels)}
    content = dict(zip(table.image, table.content, strict=True))
    contents = {
        what: place for place, what in enumerate(dict.fromkeys(content[one.image] for one in entries))
    }
    return [
        [
            one.image,
            one.label,
            number.get(one.predicted, -1),
            offers.get(one.other if before is None else before.only_one_of(one.other) or "", -1),
            contents[content[one.image]],
            *([] if before is None else [before.label.get(one.image)]),
        ]
        for one in entries
    ]


def _as_data(content: Mapping[str, Any]) -> Any:
    """JSON that stands in a page as text, whatever the names in it."""
    from markupsafe import Markup

    text = json.dumps(content, ensure_ascii=True, separators=(",", ":"))
    return Markup(text.replace("&", "\\u0026").replace("<", "\\u003c"))
