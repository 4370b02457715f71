"""Sections about what may flatter the numbers: the same photo twice, labels in conflict, shortcuts."""

from collections.abc import Mapping
from typing import Any

from evaluate.checks.shortcuts import NUISANCE
from evaluate.report.galleries import pairs_of
from evaluate.report.page import Section
from evaluate.report.photos import Photos

SHOWN_PAIRS = 12
SHOWN_CONFLICTS = 40


def twice_section(data: Mapping[str, Any], duplicates: Mapping[str, Any] | None, photos: Photos) -> Section:
    """Photos that are there twice: as far as was looked, and with conflicting labels first."""
    conflicts = data["conflicting_labels"]
    content = {
        "identical": data["identical_images"],
        "hashed": data["hashed_images"],
        "images": data["images"],
        "searched": duplicates,
        "shown": pairs_of(duplicates["pairs"][:SHOWN_PAIRS], photos) if duplicates else [],
        "total": duplicates["counts"]["identical"] + duplicates["counts"]["near"] if duplicates else 0,
        "conflicts": conflicts[:SHOWN_CONFLICTS],
        "total_conflicts": len(conflicts),
    }
    return Section("twice", "Duplicates and conflicting labels", content)


def shortcut_section(shortcuts: Mapping[str, Any] | None) -> Section:
    """What camera, file and mean colours alone tell of the labels; or that nobody looked."""
    return Section("shortcuts", "Shortcut check", {"found": shortcuts, "column": NUISANCE})
