"""What a result rests on: the data, where each vector came from, the versions; and what is doubtful about it."""

import platform
from collections import Counter
from importlib import metadata
from typing import Any

import numpy as np

from classify.rows import conflicting_images
from featurize.table import FeatureTable

PACKAGES = ("bottlehead", "scikit-learn", "numpy", "scipy", "pandas", "pyarrow")
NAMED_AT_MOST = 10


def versions() -> dict[str, str]:
    """Python and the packages that a number may depend on, by name."""
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = "unknown"
    return found


def describe_data(table: FeatureTable) -> dict[str, Any]:
    """The rows in numbers, JSON content.

    Returns
    -------
    dict
        ``digest`` (SHA-256 over ids and vectors), ``source``, ``rows``, ``images``, ``distorted``,
        ``labels`` (images by label), ``groups``; ``hashed_images``, whose bytes are known, and how many of them
        are ``identical_images``, with the same bytes as another one that is kept together with it; and
        ``conflicting_labels``: a list per content that stands under several labels, of its ``image`` and ``label``.
    """
    photos = table.filter(table.variant == 0)
    copies = Counter(sha for sha in photos.sha256 if sha is not None)
    return {
        "digest": table.digest(),
        "source": table.metadata.get("source"),
        "rows": len(table),
        "images": len(photos),
        "distorted": len(table) - len(photos),
        "labels": dict(sorted(Counter(str(label) for label in photos.label if label is not None).items())),
        "groups": len(np.unique(photos.groups)),
        "hashed_images": sum(sha is not None for sha in photos.sha256),
        "identical_images": sum(count for count in copies.values() if count > 1),
        "conflicting_labels": [
            [{"image": image, "label": label} for image, label in images]
            for images in conflicting_images(table)
        ],
    }


def describe_features(table: FeatureTable, features: list[str]) -> dict[str, Any]:
    """How the vectors behind `features` were made, by column: the table's own record, or None where it has none."""
    parts = sorted({part for name in features for part in table.parts(name)})
    return {part: table.metadata["features"].get(part) for part in parts}


def data_warnings(table: FeatureTable, features: list[str]) -> list[str]:
    """What a careful reader should know about the data before believing a number, one sentence each."""
    found = [_conflict(images) for images in conflicting_images(table)]
    if len(found) > NAMED_AT_MOST:
        more = len(found) - NAMED_AT_MOST
        found = [*found[:NAMED_AT_MOST], f"{more} more contents stand under several labels"]
    for part, entry in describe_features(table, features).items():
        doubt = _doubt(entry)
        if doubt:
            found.append(f"{part}: {doubt}")
    return found


def _conflict(images: tuple[tuple[str, str], ...]) -> str:
    names = ", ".join(image for image, _ in images)
    labels = " and ".join(sorted({label for _, label in images}))
    return f"byte-identical photos carry different labels ({labels}): {names}; at least one label is wrong"


def _doubt(entry: dict[str, Any] | None) -> str:
    """Why the origin of these vectors limits what the numbers mean; empty when nothing does."""
    if not entry:
        return "the table does not say how these vectors were made"
    if entry.get("fingerprint") == "imported":
        return "imported vectors; which network and preprocessing made them is not known"
    if (entry.get("weights") or {}).get("source") == "random":
        return "made by a network with random, untrained weights (weights=random), not by a trained one"
    return ""
