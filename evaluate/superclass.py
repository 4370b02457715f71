"""Mistakes within a super-class and across: steel taken for rusty steel, or for aluminium."""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from evaluate import metrics
from featurize.errors import UsageError

COLUMNS = ["label", "superclass"]


def superclass_errors(
    label: np.ndarray, predicted: np.ndarray, superclasses: Mapping[str, str]
) -> dict[str, Any]:
    """How many errors stay inside a super-class, and how many cross to another.

    Parameters
    ----------
    label, predicted : array of str, shape (n_images,)
    superclasses : mapping of str to str
        Super-class by label, for every label of either array.

    Returns
    -------
    dict
        ``errors``, of which ``inside`` and ``crossing``; ``accuracy``, the share of images put into the right
        super-class; ``confusion`` between the super-classes.

    Examples
    --------
    >>> found = superclass_errors(["rusty steel", "steel", "copper"], ["steel", "copper", "copper"],
    ...     {"steel": "iron", "rusty steel": "iron", "copper": "copper"})
    >>> found["errors"], found["inside"], found["crossing"]
    (2, 1, 1)
    """
    label, predicted = np.asarray(label, dtype=str), np.asarray(predicted, dtype=str)
    above = np.array([superclasses[name] for name in label.tolist()])
    found = np.array([superclasses[name] for name in predicted.tolist()])
    errors, crossing = int((label != predicted).sum()), int((above != found).sum())
    return {
        "errors": errors,
        "inside": errors - crossing,
        "crossing": crossing,
        "accuracy": metrics.accuracy(above, found),
        "confusion": metrics.confusion(above, found, sorted(set(superclasses.values()))),
    }


def superclasses_in_words(found: Mapping[str, Any]) -> str:
    """``59 of 60 errors cross from one super-class to another, 1 stays inside``."""
    if not found["errors"]:
        return "there are no errors, neither inside a super-class nor across"
    stay = "stays" if found["inside"] == 1 else "stay"
    cross = "crosses" if found["errors"] == 1 else "cross"
    return (
        f"{found['crossing']} of {found['errors']} error{'s' * (found['errors'] != 1)} {cross} from one "
        f"super-class to another, {found['inside']} {stay} inside"
    )


def check_superclasses(superclasses: Mapping[str, str], labels: Sequence[str]) -> dict[str, str]:
    """The super-classes of `labels` alone.

    Raises
    ------
    UsageError
        If a label has none, or all labels have the same one.
    """
    missing = [name for name in labels if not superclasses.get(name)]
    if missing:
        raise UsageError(
            f"{len(missing)} of {len(labels)} labels have no super-class: {', '.join(missing)}",
            "give each label a line label,superclass",
        )
    mine = {name: superclasses[name] for name in labels}
    if len(set(mine.values())) < 2:
        raise UsageError(
            f"all {len(labels)} labels have the super-class {mine[labels[0]]}: no error could cross",
            "name two super-classes or more",
        )
    return mine


def read_superclasses(path: str | Path) -> dict[str, str]:
    """Super-class by label, from a CSV file in UTF-8 with the columns ``label,superclass``.

    Raises
    ------
    UsageError
        If the file cannot be read, its columns are others, a line is not whole, or a label has two lines.
    """
    try:
        with open(path, encoding="utf-8-sig", newline="") as stream:
            lines = [[cell.strip() for cell in line] for line in csv.reader(stream) if line]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UsageError(
            f"the super-classes {path} cannot be read: {error}", "give a CSV file in UTF-8"
        ) from error
    if not lines or lines[0] != COLUMNS:
        raise UsageError(
            f"the super-classes {path} have the columns {', '.join(lines[0]) if lines else 'none'}",
            f"the first line must be {','.join(COLUMNS)}",
        )
    found: dict[str, str] = {}
    for line in lines[1:]:
        if len(line) != 2 or not all(line) or line[0] in found:
            raise UsageError(
                f"{path} has the line {','.join(line)!r}",
                "give each label one line: the label, a comma, its super-class",
            )
        found[line[0]] = line[1]
    return found
