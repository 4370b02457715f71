"""The folds file: ``sha256,fold``, by which others repeat the very same folds.

CSV in UTF-8, one line per content: the SHA-256 of the image's bytes in hex, and its fold, a number from 0 or one of
``training``, ``validation`` and ``testing``. With several repeats, each dividing anew, the columns are
``sha256,repeat,fold``. Renaming photos, moving them, or adding new ones changes no line.
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
REPEATED = ["sha256", "repeat", "fold"]
SIDES = ("training", "validation", "testing")


def read_folds(path: str | Path) -> list[dict[str, str]]:
    """The fold of each content, by SHA-256, as the file has it, for each repeat.

    Returns
    -------
    list of dict of str to str
        Per repeat either numbers, two or more different ones, or sides, ``training`` and one or two others.

    Raises
    ------
    UsageError
        If the file cannot be read, is no folds file, names a content twice in a repeat, leaves one out of a repeat, or
        holds one fold only.
    """
    try:
        with open(path, encoding="utf-8-sig", newline="") as stream:
            lines = list(csv.reader(stream))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UsageError(
            f"the folds file {path} cannot be read: {error}",
            "give a CSV file in UTF-8 that `evaluate split` wrote",
        ) from error
    header = [name.strip() for name in lines[0]] if lines else []
    if header not in (COLUMNS, REPEATED):
        shown = ",".join(lines[0]) if lines else "empty"
        raise UsageError(
            f"{path} is no folds file: its first line is {shown[:80]}",
            "it must be sha256,fold or sha256,repeat,fold",
        )
    repeats: dict[int, dict[str, str]] = {}
    for number, line in enumerate(lines[1:], start=2):
        if line:
            sha, repeat, fold = _parsed(line, header, number, path)
            folds = repeats.setdefault(repeat, {})
            if sha in folds:
                again = f" in repeat {repeat}" * (header == REPEATED)
                raise UsageError(
                    f"{path} names {sha[:12]}… twice{again}, again in line {number}",
                    "keep one line per content",
                )
            folds[sha] = fold
    found = [repeats[number] for number in sorted(repeats)] or [{}]
    for folds in found:
        _refuse_no_division(folds, path)
    for number, folds in enumerate(found):
        if folds.keys() != found[0].keys():
            raise UsageError(
                f"{path} names {len(found[0])} images in one repeat and {len(folds)} in another (the {number + 1}.), "
                f"{len(folds.keys() ^ found[0].keys())} of them not in both",
                "every repeat divides the same images",
            )
    return found


def _parsed(line: list[str], header: list[str], number: int, path: str | Path) -> tuple[str, int, str]:
    """SHA-256, repeat and fold of one line."""
    named = (
        dict(zip(header, (cell.strip() for cell in line), strict=False)) if len(line) == len(header) else {}
    )
    sha, repeat, fold = named.get("sha256", "").lower(), named.get("repeat", "0"), named.get("fold", "")
    good = re.fullmatch("[0-9a-f]{64}", sha) and re.fullmatch("[0-9]{1,9}", repeat)
    if not good or not (fold in SIDES or re.fullmatch("[0-9]{1,9}", fold)):
        a_repeat = " a number, a comma," * (header == REPEATED)
        raise UsageError(
            f"line {number} of {path} is {','.join(line)[:100]!r}",
            f"each line holds 64 hexadecimal digits, a comma,{a_repeat} and a number or one of {', '.join(SIDES)}",
        )
    return sha, int(repeat), fold if fold in SIDES else str(int(fold))


def _refuse_no_division(folds: dict[str, str], path: str | Path) -> None:
    kinds = set(folds.values())
    if len(kinds) < 2 or (kinds & set(SIDES) and (kinds - set(SIDES) or "training" not in kinds)):
        raise UsageError(
            f"{path} puts {len(folds)} images into {len(kinds)} folds: {', '.join(sorted(kinds)) or 'none'}",
            "it needs two numbers or more, or training and another side",
        )


def write_folds(path: str | Path, table: FeatureTable, *folds: Sequence[str | int | None]) -> int:
    """Write the fold of each row, one sequence per repeat; rows whose fold is None are left out.

    Returns the number of lines below the first. One repeat makes two columns, several make three.

    Raises
    ------
    UsageError
        If a content is unknown (imported vectors), or would stand in two folds.
    """
    repeats = [_by_content(table, fold) for fold in folds]
    with whole_file(path) as partial, open(partial, "w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(COLUMNS if len(repeats) == 1 else REPEATED)
        for number, lines in enumerate(repeats):
            for sha, fold in sorted(lines.items()):
                writer.writerow([sha, fold] if len(repeats) == 1 else [sha, number, fold])
    return sum(len(lines) for lines in repeats)


def _by_content(table: FeatureTable, fold: Sequence[str | int | None]) -> dict[str, str]:
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
    return lines


def fold_of_rows(folds: Sequence[Fold], n_rows: int, repeat: int = 0) -> list[int | None]:
    """Per row the fold that tests it in this repeat; None for rows that none tests."""
    fold: list[int | None] = [None] * n_rows
    for one in folds:
        for row in one.testing if one.repeat == repeat else ():
            fold[int(row)] = one.fold
    return fold


def side_of_rows(path: str | Path, table: FeatureTable) -> list[str | None]:
    """Per row of `table` the side that a folds file puts its content on; None where it names none.

    Raises
    ------
    UsageError
        If the file holds numbers, or names images that the table does not have.
    """
    folds, *more = read_folds(path)
    if more:
        raise UsageError(
            f"{path} holds {1 + len(more)} repeats, and a split is one division",
            f"use it with `evaluate compare TABLE --folds {path}`",
        )
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
