"""Sections about single labels: what is taken for what, and the scores of each."""

from collections.abc import Mapping
from typing import Any

from evaluate.report.page import Section

MATRIX_UP_TO = 25
SHOWN_CONFUSIONS = 40


def confusion_section(of: str, confusion: Mapping[str, Any]) -> Section:
    """The confusion matrix; of more than 25 labels only the pairs that are confused most often."""
    names, matrix = confusion["labels"], confusion["matrix"]
    rows = []
    for name, counts in zip(names, matrix, strict=True):
        total = sum(counts)
        cells = [{"count": count, "share": count / total if total else 0.0} for count in counts]
        rows.append({"label": name, "cells": cells, "total": total})
    mistaken = [
        {"label": row["label"], "predicted": other, "total": row["total"], **cell}
        for row in rows
        for other, cell in zip(names, row["cells"], strict=True)
        if other != row["label"] and cell["count"]
    ]
    mistaken.sort(key=lambda one: (-one["count"], one["label"], one["predicted"]))
    content = {
        "of": of,
        "labels": names,
        "rows": rows if len(names) <= MATRIX_UP_TO else [],
        "pairs": mistaken[:SHOWN_CONFUSIONS],
        "total": len(mistaken),
    }
    return Section("confusion", "Confusion", content)


def label_section(of: str, scores: Mapping[str, Any]) -> Section:
    """Precision, recall, F1 and ranking by label, and their averages."""
    content = {name: scores[name] for name in ("per_label", "averages", "one_vs_rest")}
    return Section("labels", "Label by label", {"of": of, **content})
