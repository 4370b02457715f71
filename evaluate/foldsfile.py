"""The folds file: ``sha256,fold``, by which others repeat the very same folds.

CSV in UTF-8, one line per content: the SHA-256 of the image's bytes in hex, and its fold, a number from 0 or one of
``training``, ``validation`` and ``testing``. Renaming photos, moving them, or adding new ones changes no line.
"""

import csv
import re
from collections.abc import Sequence
from pathlib import Path

from classify.folds import Fold
from featurize.errors import UsageError
from featurize.files import whole_file
from featurize.table import FeatureTable

COLUMNS = ["sha256", "fold"]
SIDES = ("training", "validation", "testing")


def read_folds(path: str | Path) -> dict[str, str]:
    """The fold of each content, by SHA-256, as the file has it.

    Returns
    -------
    dict of str to str
        Either numbers, two or more different ones, or sides, ``training`` and one or two others.

    Raises
    ------
    UsageError
        If the file cannot be read, is no folds file, names a content twice, or holds one fold only.
    """
    try:
        with open(path, encoding="utf-8-sig", newline="") as stream:
            lines = list(csv.reader(stream))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UsageError(
            f"the folds file {path} cannot be read: {error}",
            "give a CSV file in UTF-8 that `evaluate split` wrote",
        ) from error
    if not lines or [name.strip() for name in lines[0]] != COLUMNS:
        shown = ",".join(lines[0]) if lines else "empty"
        raise UsageError(f"{path} is no folds file: its first line is {shown[:80]}", "it must be sha256,fold")
    folds: dict[str, str] = {}
    for number, line in enumerate(lines[1:], start=2):
        if not line:
            continue
        sha, fold = (line[0].strip().lower(), line[1].strip()) if len(line) == 2 else ("", "")
        if not re.fullmatch("[0-9a-f]{64}", sha) or not (fold in SIDES or re.fullmatch("[0-9]{1,9}", fold)):
            raise UsageError(
                f"line {number} of {path} is {','.join(line)[:100]!r}",
                f"each line holds 64 hexadecimal digits, a comma, and a number or one of {', '.join(SIDES)}",
            )
        if sha in folds:
            raise UsageError(
                f"{path} names {sha[:12]}… twice, again in line {number}", "keep one line per content"
            )
        folds[sha] = fold if fold in SIDES else str(int(fold))
    kinds = set(folds.values())
    if len(kinds) < 2 or (kinds & set(SIDES) and (kinds - set(SIDES) or "training" not in kinds)):
        raise UsageError(
            f"{path} puts {len(folds)} images into {len(kinds)} folds: {', '.join(sorted(kinds)) or 'none'}",
            "it needs two numbers or more, or training and another side",
        )
    return folds


def write_folds(path: str | Path, table: FeatureTable, fold: Sequence[str | int | None]) -> int:
    """Write the fold of each row; rows whose fold is None are left out. Returns the number of lines.

    Raises
    ------
    UsageError
        If a content is unknown (imported vectors), or would stand in two folds.
    """
    lines: dict[str, str] = {}
    for image, sha, one in zip(table.image, table.sha256, fold, strict=True):
        if one is None:
            continue
        if sha is None:
            raise UsageError(
                f"the content of {image} is not known, and a folds file goes by content",
                "extract the photos themselves (featurize extract), or write the split into a table",
            )
        if lines.setdefault(sha, str(one)) != str(one):
            raise UsageError(
                f"{image} has the same bytes as a photo in fold {lines[sha]}, and would be in fold {one}",
                "add --keep-together, or use the method stratified",
            )
    with whole_file(path) as partial, open(partial, "w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows(sorted(lines.items()))
    return len(lines)


def fold_of_rows(folds: Sequence[Fold], n_rows: int) -> list[int | None]:
    """Per row the fold that tests it, in the first repeat; None for rows that none tests."""
    fold: list[int | None] = [None] * n_rows
    for one in folds:
        for row in one.testing if one.repeat == folds[0].repeat else ():
            fold[int(row)] = one.fold
    return fold


def side_of_rows(path: str | Path, table: FeatureTable) -> list[str | None]:
    """Per row of `table` the side that a folds file puts its content on; None where it names none.

    Raises
    ------
    UsageError
        If the file holds numbers, or names images that the table does not have.
    """
    folds = read_folds(path)
    if "training" not in folds.values():
        raise UsageError(
            f"{path} holds {len(set(folds.values()))} numbered folds, and a split has sides",
            f"use it with `evaluate compare TABLE --folds {path}`",
        )
    missing = len(set(folds) - set(table.sha256))
    if missing:
        raise UsageError(
            f"{path} names {len(folds)} images, and {missing} of them are not in the table",
            "give a table of the same photos, or make a new split",
        )
    return [folds.get(sha) for sha in table.sha256]
