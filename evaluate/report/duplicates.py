"""The page of `evaluate duplicates`: the pairs, photo beside photo."""

from collections.abc import Mapping
from typing import Any

from evaluate.report.galleries import pairs_of
from evaluate.report.page import Page, Section
from evaluate.report.photos import Photos
from evaluate.report.provenance import methods_section, provenance_section

SHOWN_PAIRS = 100
BYTES = "their bytes alone"


def duplicates_page(found: Mapping[str, Any], photos: Photos) -> Page:
    """Title, counts and pairs of what `find_duplicates` found."""
    counts, pairs = found["counts"], found["pairs"]
    compared = (
        "every pair was compared" if found["exact"] else "pairs in the same neighbourhood were compared"
    )
    by = found["features"] or BYTES
    content = {
        "shown": pairs_of(pairs[:SHOWN_PAIRS], photos),
        "total": len(pairs),
        "features": found["features"],
        "threshold": found["threshold"],
    }
    return Page(
        "Duplicates",
        f"{found['images']} photos by {by}; {compared}",
        [
            ("byte-identical", str(counts["identical"]), "pairs of files with the same bytes"),
            (
                "near-identical",
                str(counts["near"]) if found["features"] else "unknown",
                f"pairs with a similarity of {found['threshold']:g} or more"
                if found["features"]
                else "no features of the table tell photos apart",
            ),
            ("conflicting labels", str(counts["conflict"]), "pairs; at least one label is wrong"),
            ("photos", str(counts["images"]), "in any pair"),
        ],
        [
            Section("summary", "In words", {"sentences": _sentences(found)}),
            Section("duplicates", "Pairs", content),
            methods_section(found),
            provenance_section(found),
        ],
    )


def _sentences(found: Mapping[str, Any]) -> list[str]:
    counts, pairs = found["counts"], found["pairs"]
    if not pairs:
        return [
            f"None of the {found['images']} photos is there twice, as far as {found['features'] or BYTES} can tell."
        ]
    share = 100 * counts["images"] / found["images"]
    sentences = [f"{counts['images']} of the {found['images']} photos ({share:.1f} %) are in a pair."]
    if counts["conflict"]:
        carry = "1 pair carries" if counts["conflict"] == 1 else f"{counts['conflict']} pairs carry"
        sentences.append(
            f"{carry} two labels: at least one of them is wrong, or the photos are not the same after all."
        )
    sentences.append(
        "A photo whose twin is in the training set is recognised rather than classified: "
        "--group-duplicates keeps them on one side."
    )
    return sentences
