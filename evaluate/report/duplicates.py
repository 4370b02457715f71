"""The page of `evaluate duplicates`: the pairs, photo beside photo."""

from typing import TYPE_CHECKING

from evaluate.report.page import Page, Section
from evaluate.report.photos import Photos

if TYPE_CHECKING:
    from evaluate.duplicates import Duplicates

SHOWN_PAIRS = 100


def duplicates_page(found: "Duplicates", photos: Photos) -> Page:
    """Title, counts and pairs of what `find_duplicates` found."""
    counts = found.counts
    shown = [
        {
            **pair,
            "thumbnail": photos.thumbnail(pair["image"]),
            "other_thumbnail": photos.thumbnail(pair["other"]),
        }
        for pair in found.pairs[:SHOWN_PAIRS]
    ]
    compared = "every pair was compared" if found.exact else "pairs in the same neighbourhood were compared"
    content = {
        "shown": shown,
        "total": len(found.pairs),
        "features": found.features,
        "threshold": found.threshold,
    }
    return Page(
        "Duplicates",
        f"{found.images} photos by {found.features}; {compared}",
        [
            ("byte-identical", str(counts["identical"]), "pairs of files with the same bytes"),
            (
                "near-identical",
                str(counts["near"]),
                f"pairs with a similarity of {found.threshold:g} or more",
            ),
            ("conflicting labels", str(counts["conflict"]), "pairs; at least one label is wrong"),
            ("photos", str(counts["images"]), "in any pair"),
        ],
        [Section("duplicates", "Pairs", content)],
    )
