"""Duplicates and folds in plain text."""

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from evaluate.report.text import aligned

if TYPE_CHECKING:
    from evaluate.checks.duplicates import Duplicates
    from featurize.table import FeatureTable

SHOWN_PAIRS = 40


def duplicates_as_text(found: "Duplicates") -> str:
    """What `evaluate duplicates` prints: what was compared, the counts, and the pairs."""
    counts = found.counts
    how = "every pair" if found.exact else "pairs in the same neighbourhood (approximate)"
    lines = [f"{found.images} photos, {how} compared by {found.features or 'their bytes alone'}"]
    none_near = f", none at {found.threshold:g} or more alike" if found.features else ""
    near = f", {counts['near']} at {found.threshold:g} or more alike" if found.features else ""
    if not found.pairs:
        return f"{lines[0]}: none byte-identical{none_near}"
    lines.append(
        f"{counts['images']} photos are in {len(found.pairs)} pairs: {counts['identical']} byte-identical{near}; "
        f"{counts['conflict']} with conflicting labels"
    )
    rows = [
        [
            "identical" if pair["identical"] else f"{pair['similarity']:.4f}",
            pair["image"],
            pair["other"],
            f"{pair['label']} or {pair['other_label']}?" if pair["conflict"] else "",
        ]
        for pair in found.pairs[:SHOWN_PAIRS]
    ]
    table = aligned(["similarity", "image", "other", "label"], rows, left=4)
    more = len(found.pairs) - SHOWN_PAIRS
    tail = [f"and {more} more pairs, all in --json FILE.json"] if more > 0 else []
    return "\n".join(["\n".join(lines), "", table, *tail])


def folds_as_text(table: "FeatureTable", fold: Sequence[int | None]) -> str:
    """What `evaluate split --cv` prints: photos by label and fold."""
    counts = Counter(zip(table.label, fold, strict=True))
    numbers = sorted({one for one in fold if one is not None})
    rows = [[str(name), *(str(counts[name, one]) for one in numbers)] for name in sorted(set(table.label))]
    totals = [str(sum(one == number for one in fold)) for number in numbers]
    return aligned(["label", *(f"fold {one}" for one in numbers)], [*rows, ["all", *totals]], left=1)
