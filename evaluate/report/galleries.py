"""Sections of photos: the mistakes with what they resemble, and those that are worth a look."""

from collections.abc import Mapping, Sequence
from typing import Any

from evaluate.report.page import Section
from evaluate.report.photos import SMALL_PX, Photos

SHOWN_PHOTOS = 60
SHOWN_LOOKS = 24


def misclassified_section(
    of: str, misclassified: Sequence[Mapping[str, Any]], photos: Photos, training: Photos | None
) -> Section:
    """The surest mistakes, each with its confidence and the training photos that it resembles most.

    `training` finds those; None where the training photos are not known.
    """
    shown = [
        {
            **row,
            "thumbnail": photos.thumbnail(row["image"]),
            "nearest": [
                {**one, "thumbnail": training.thumbnail(one["image"], SMALL_PX)}
                for one in row["nearest"] or ()
            ]
            if training
            else [],
        }
        for row in misclassified[:SHOWN_PHOTOS]
    ]
    content = {
        "of": of,
        "shown": shown,
        "total": len(misclassified),
        "missing": sum(row["thumbnail"] is None for row in shown),
        "folder": str(photos.folder) if photos.folder is not None else None,
        "with_nearest": any(row["nearest"] for row in shown),
    }
    return Section("misclassified", "Misclassified", content)


def look_sections(details: Mapping[str, Any], features: str, n_heads: int, photos: Photos) -> list[Section]:
    """The photos to look at: wrong with every head, the hardest, and those whose labels may be wrong."""
    found = []
    if n_heads > 1:
        looks = _looks(details["wrong_every_time"], "predicted", None, photos)
        found.append(Section("every", "Misclassified by every head", {"features": features, **looks}))
    if details["misclassified"]:
        looks = _looks(details["hardest"], "predicted", "probability", photos)
        found.append(Section("hardest", "Hardest", looks))
    looks = _looks(details["label_suspects"], "suggested", "probability", photos)
    found.append(Section("suspects", "Labels worth a look", looks))
    return found


def pairs_of(pairs: Sequence[Mapping[str, Any]], photos: Photos) -> list[dict[str, Any]]:
    """Pairs of photos, as `evaluate.checks.duplicates.Duplicates` lists them, with their thumbnails."""
    return [
        {
            **pair,
            "thumbnail": photos.thumbnail(pair["image"]),
            "other_thumbnail": photos.thumbnail(pair["other"]),
        }
        for pair in pairs
    ]


def _looks(
    rows: Sequence[Mapping[str, Any]], other: str, share: str | None, photos: Photos
) -> dict[str, Any]:
    shown = [
        {
            "image": row["image"],
            "label": row["label"],
            "other": row[other],
            "share": row[share] if share else None,
            "thumbnail": photos.thumbnail(row["image"]),
        }
        for row in rows[:SHOWN_LOOKS]
    ]
    return {"shown": shown, "total": len(rows)}
