"""Folds from anywhere, and the proof that they part nothing that belongs together."""

import hashlib
import re
import warnings
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from classify.folds import Fold, make_folds
from featurize.errors import UsageError
from featurize.files import csv_writer, read_csv
from featurize.outputs import CSV, whole_file
from featurize.remote import path_at
from featurize.table import FeatureTable
from featurize.terminal import log

# The folds file: CSV in UTF-8, one line per content: the SHA-256 of the image's bytes in hex, and its fold, a number
# from 0 or one of ``training``, ``validation`` and ``testing``. With several repeats, each dividing anew, the columns
# are ``sha256,repeat,fold``. Renaming photos, moving them, or adding new ones changes no line.
SIDES = ("training", "validation", "testing")


def read_folds(path: str | Path) -> list[dict[str, str]]:
    """The fold of each content, by SHA-256, as the file has it, for each repeat.

    In a repeat these are either two or more numbers, or ``training`` and one or two other sides; anything else is
    refused.
    """
    repeats: dict[int, dict[str, str]] = {}
    columns = "sha256", "fold"
    for number, line in read_csv(path, columns, "folds file", optional=("repeat",), key=_content):
        sha, repeat, fold = _parsed(line, number, path)
        repeats.setdefault(repeat, {})[sha] = fold
    found = [repeats[number] for number in sorted(repeats)] or [{}]
    for number, folds in enumerate(found):
        _refuse_no_division(folds, path)
        if folds.keys() != found[0].keys():
            raise UsageError(
                f"{path} names {len(found[0])} images in one repeat and {len(folds)} in another (the {number + 1}.), "
                f"{len(folds.keys() ^ found[0].keys())} of them not in both",
                "every repeat divides the same images",
            )
    return found


def _content(line: dict[str, str]) -> tuple[str, ...]:
    """What one line alone may be about: a content, in a repeat if there are several."""
    repeat = line.get("repeat", "").strip().lstrip("0") or "0"
    return line["sha256"].strip().lower(), *([f"repeat {repeat}"] if "repeat" in line else [])


def _parsed(line: dict[str, str], number: int, path: str | Path) -> tuple[str, int, str]:
    """SHA-256, repeat and fold of one line."""
    cells = {name: cell.strip() for name, cell in line.items()}
    sha, repeat, fold = cells["sha256"].lower(), cells.get("repeat", "0"), cells["fold"]
    good = re.fullmatch("[0-9a-f]{64}", sha) and re.fullmatch("[0-9]{1,9}", repeat)
    if not good or not (fold in SIDES or re.fullmatch("[0-9]{1,9}", fold)):
        raise UsageError(
            f"line {number} of {path} is {','.join(cells.values())[:100]!r}",
            f"each line holds 64 hexadecimal digits, a repeat if there are several, and a number or one of "
            f"{', '.join(SIDES)}",
        )
    return sha, int(repeat), fold if fold in SIDES else str(int(fold))


def _refuse_no_division(folds: dict[str, str], path: str | Path) -> None:
    kinds = set(folds.values())
    if len(kinds) < 2 or (kinds & set(SIDES) and (kinds - set(SIDES) or "training" not in kinds)):
        raise UsageError(
            f"{path} puts {len(folds)} images into {len(kinds)} folds: {', '.join(sorted(kinds)) or 'none'}",
            "it needs two numbers or more, or training and another side",
        )


def write_folds(
    path: str | Path, table: FeatureTable, *folds: Sequence[str | int | None], excel: bool = False
) -> int:
    """Write the fold of each row, one sequence per repeat, and return the number of lines below the first.

    Rows whose fold is None are left out; a content that is unknown, or would stand in two folds, is refused. `excel`:
    for a spreadsheet, see `featurize.files.csv_writer`.
    """
    repeats = [_by_content(table, fold) for fold in folds]
    with whole_file(path, CSV) as partial, open(partial, "w", encoding="utf-8", newline="") as stream:
        writer = csv_writer(stream, excel)
        writer.writerow(["sha256", "fold"] if len(repeats) == 1 else ["sha256", "repeat", "fold"])
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


def folds_digest(folds: Iterable[Fold], table: FeatureTable) -> str:
    """SHA-256 of who is tested by whom, by content: the same whatever the names and the order of the photos.

    It is that of sorted lines ``repeat,fold,side,content``, each with a line feed: one for each photo that a fold tests
    (side ``test``), and for each that it neither tests nor trains on (``out``).
    """
    content, photos = table.content, table.variant == 0
    lines = []
    for fold in folds:
        out = photos.copy()
        out[fold.training] = out[fold.testing] = False
        for side, rows in (("test", fold.testing), ("out", out)):
            lines += [f"{fold.repeat},{fold.fold},{side},{one}\n" for one in content[rows]]
    return hashlib.sha256("".join(sorted(lines)).encode("utf-8", "surrogateescape")).hexdigest()


def side_of_rows(path: str | Path, table: FeatureTable) -> list[str | None]:
    """Per row of `table` the side that a folds file puts its content on; None where it names none."""
    folds, *more = read_folds(path)
    if more or "training" not in folds.values():
        numbered = f"{len(set(folds.values()))} numbered folds, and a split has sides"
        what = f"{1 + len(more)} repeats, and a split is one division" if more else numbered
        raise UsageError(f"{path} holds {what}", f"use it with `evaluate compare TABLE --folds {path}`")
    missing = len(set(folds) - set(table.sha256))
    if missing:
        raise UsageError(
            f"{path} names {len(folds)} images, and {missing} of them are not in the table",
            "give a table of the same photos, or make a new split",
        )
    return [folds.get(sha) for sha in table.sha256]


METHODS = {
    "stratified": "stratified; groups and identical images kept together",
    "leave-one-group-out": "one group left out at a time",
    "predefined": "training and validation rows of the table's split",
}


def folds_for(
    table: FeatureTable, folds: Any = "stratified", *, cv: int = 5, repeats: int = 1, seed: int = 0
) -> tuple[list[Fold], str]:
    """The folds that `compare` uses, checked, and how they were made, in words.

    `folds` is ``"stratified"``: `cv` folds, `repeats` times. ``"leave-one-group-out"``. ``"predefined"``: the training
    rows of the table's split, tested on its validation rows. A path: a folds file; of sides, it tests the validation
    side, or the testing side where there is no other. Or a scikit-learn splitter, which is given the photos and their
    groups, or a list of (training rows, testing rows).
    """
    if not isinstance(folds, str | Path):
        return check_folds(folds, table), f"given by the caller: {type(folds).__name__}"
    if folds == "stratified":
        found = stratified_folds(table, cv=cv, repeats=repeats, seed=seed)
    elif folds == "leave-one-group-out":
        found = _leave_one_group_out(table)
    else:
        found = _predefined(table) if folds == "predefined" else _from_file(table, folds)
    return check_folds(found, table), METHODS.get(folds, f"as the folds file {path_at(folds).name} says")


def stratified_folds(table: FeatureTable, *, cv: int = 5, repeats: int = 1, seed: int = 0) -> list[Fold]:
    """`classify.folds.make_folds` by the content of the photos: neither their names nor their order matter."""
    rows = {"label": table.label, "groups": table.groups, "variant": table.variant}
    return make_folds(**rows, n_folds=cv, repeats=repeats, seed=seed, content=table.content)


def check_folds(folds: Any, table: FeatureTable) -> list[Fold]:
    """Prove that no fold parts what belongs together, whoever made the folds.

    In every fold: both sides hold photos of the table, no testing row twice; no row of the training side shares a
    group, the bytes of its image or its photo (being a distorted copy of it) with one of the testing side; no
    distorted copy is tested; and the training side knows every label.

    Parameters
    ----------
    folds : splitter or iterable
        A scikit-learn splitter (it is given one row per photo, with labels and groups; distorted copies then
        follow their photos into training), or any iterable of `Fold` or of (training rows, testing rows).
    table : FeatureTable
        All rows labelled; the rows are numbered as in it.

    Returns
    -------
    list of Fold
        The same folds, rows ascending. Pairs that test a photo again begin a new repeat.

    Raises
    ------
    UsageError
        On the first fold that breaks a rule; the message counts the rows and names two of them.

    Examples
    --------
    >>> table = FeatureTable.from_arrays({"x": [[0.0]] * 4}, label=["rust", "well"] * 2, group=["leaf", None] * 2)
    >>> len(check_folds([([0, 2, 1], [3])], table))
    1
    >>> check_folds([([0, 1], [2, 3])], table)
    Traceback (most recent call last):
    featurize.errors.UsageError: fold 0 leaks: 1 of its 2 test photos is in the same group as a training photo ...
    """
    given = _split_by(folds, table) if hasattr(folds, "split") else _pairs(folds)
    checked = [_checked(fold, number, table) for number, fold in enumerate(given)]
    if not checked:
        raise UsageError("no folds were given", "give one pair of training and testing rows or more")
    return checked


def _split_by(splitter: Any, table: FeatureTable) -> Iterable[Fold]:
    photos, groups = np.flatnonzero(table.variant == 0), table.groups
    label = table.label[photos].astype(str)
    try:
        with warnings.catch_warnings():
            # That a splitter ignores groups is no matter where none are parted, and refused where they are.
            warnings.filterwarnings("ignore", message="The groups parameter is ignored")
            pairs = list(splitter.split(np.zeros((len(photos), 1)), label, groups[photos]))
    except ValueError as error:
        raise UsageError(
            f"{type(splitter).__name__} cannot split {len(photos)} photos in {len(np.unique(groups[photos]))} groups: "
            f"{' '.join(str(error).split())}",
            "use fewer folds, or a splitter that fits the table",
        ) from error
    copies = np.flatnonzero(table.variant != 0)
    for fold in _pairs(pairs):
        training, testing = photos[fold.training], photos[fold.testing]
        its_copies = copies[np.isin(groups[copies], groups[training])]
        yield Fold(fold.repeat, fold.fold, np.concatenate([training, its_copies]), testing)


def _pairs(folds: Any) -> Iterable[Fold]:
    """Numbered folds; where a row is tested again, the next repeat begins."""
    repeat, number, tested = 0, 0, set[int]()
    for one in folds:
        if isinstance(one, Fold):
            yield one
            continue
        try:
            training, testing = (np.asarray(side) for side in one)
        except (TypeError, ValueError):
            raise UsageError(
                f"{type(one).__name__} is no fold", "give pairs of (training rows, testing rows)"
            ) from None
        if tested & set(testing.ravel().tolist()):
            repeat, number, tested = repeat + 1, 0, set()
        tested |= set(testing.ravel().tolist())
        yield Fold(repeat, number, training, testing)
        number += 1


def _checked(fold: Fold, number: int, table: FeatureTable) -> Fold:
    training, testing = _rows(fold.training, number, table), _rows(fold.testing, number, table)
    if len(testing) == 0 or len(training) == 0:
        raise UsageError(
            f"fold {number} has {len(training)} rows to train on and {len(testing)} to test",
            "both sides need photos",
        )
    twice = len(testing) - len(np.unique(testing))
    distorted = int((table.variant[testing] != 0).sum())
    if twice or distorted:
        raise UsageError(
            f"fold {number} tests {len(testing)} rows, of which {twice} are there twice and {distorted} are "
            "distorted copies",
            "test every photo once per fold, and only as it is (variant 0)",
        )
    groups = table.groups
    crossing = testing[np.isin(groups[testing], groups[training])]
    if len(crossing):
        raise _crosses(number, crossing, training, testing, table)
    label = table.label
    lost = sorted(set(label.tolist()) - set(label[training].tolist()))
    if lost:
        raise UsageError(
            f"fold {number} trains on {len(training)} rows, and none of them is {', '.join(map(str, lost))}",
            "use fewer folds or smaller groups, so that every label is trained, or drop the label with a relabelling",
        )
    return Fold(fold.repeat, fold.fold, np.sort(training), np.sort(testing))


def _rows(side: Any, number: int, table: FeatureTable) -> np.ndarray:
    rows = np.asarray(side)
    if rows.ndim != 1 or (len(rows) and not np.issubdtype(rows.dtype, np.integer)):
        raise UsageError(
            f"a side of fold {number} is {rows.dtype} of shape {rows.shape}", "give row numbers, one per row"
        )
    outside = rows[(rows < 0) | (rows >= len(table))]
    if len(outside):
        raise UsageError(
            f"fold {number} names row {outside[0]}; the table has {len(table)} rows, 0 to {len(table) - 1}",
            "make the folds from this very table, without rows that lack a label or are set aside for testing",
        )
    return rows.astype(np.int64)


def _crosses(
    number: int, crossing: np.ndarray, training: np.ndarray, testing: np.ndarray, table
) -> UsageError:
    groups, sha256, image = table.groups, table.sha256, table.image
    first = crossing[0]
    partner = training[groups[training] == groups[first]][0]
    why = "in the same group as a training photo"
    if image[partner] == image[first]:
        why = "a training photo too, or a distorted copy of one"
    elif sha256[first] is not None and sha256[partner] == sha256[first]:
        why = "byte-identical with a training photo"
    return UsageError(
        f"fold {number} leaks: {len(crossing)} of its {len(testing)} test photos "
        f"{'is' if len(crossing) == 1 else 'are'} {why} ({image[first]} and {image[partner]})",
        "keep table.groups together: evaluate's own folds do, and StratifiedGroupKFold does with groups=table.groups",
    )


def _leave_one_group_out(table: FeatureTable) -> list[Fold]:
    photos = np.flatnonzero(table.variant == 0)
    without = sum(one is None for one in table.group[photos])
    groups = table.groups
    names = np.unique(groups[photos])
    if without or len(names) < 2:
        raise UsageError(
            f"of {len(photos)} photos {without} have no group, and {len(names)} groups would be left out one by one",
            "give every photo a group (featurize extract --group-by, or a manifest with a group column), two or more",
        )
    return [
        Fold(0, number, np.flatnonzero(groups != name), photos[groups[photos] == name])
        for number, name in enumerate(names)
    ]


def _predefined(table: FeatureTable) -> list[Fold]:
    split, photos = table.split, table.variant == 0
    training, testing = split == "training", (split == "validation") & photos
    if not (training.any() and testing.any()):
        raise UsageError(
            f"the table has {(training & photos).sum()} photos for training and {testing.sum()} for validation",
            "fill the split with `evaluate split`, or in the manifest; testing rows are for `evaluate test`",
        )
    return [Fold(0, 0, np.flatnonzero(training), np.flatnonzero(testing))]


def _from_file(table: FeatureTable, path: str | Path) -> list[Fold]:
    repeats = read_folds(path)
    sha256, photos, assigned = table.sha256, table.variant == 0, repeats[0]
    present = set(sha256[photos])
    set_aside = set.intersection(*map(_set_aside, repeats))
    missing = sum(sha not in present for sha in assigned.keys() - set_aside)
    if missing:
        raise UsageError(
            f"{path} names {len(assigned)} images, and {missing} of them are not among the {photos.sum()} photos used",
            "give the table (with the split and relabelling) that the folds were made from, or make new ones with "
            "`evaluate split --cv 5 -o FOLDS.csv`",
        )
    left_out = sum(sha not in assigned for sha in sha256[photos])
    if left_out:
        log.info("%d photos that %s does not name are left out", left_out, path)
    if set_aside:
        log.info(
            "the testing side of %s is left for the head that is chosen: %d images", path, len(set_aside)
        )
    return [fold for number, one in enumerate(repeats) for fold in _of_repeat(table, number, one)]


def _set_aside(assigned: dict[str, str]) -> set[str]:
    """The contents of the testing side, unless it is the only one to test: who chooses by it has none left."""
    both = {"validation", "testing"} <= set(assigned.values())
    return {sha for sha, side in assigned.items() if both and side == "testing"}


def _of_repeat(table: FeatureTable, repeat: int, assigned: dict[str, str]) -> list[Fold]:
    photos = table.variant == 0
    fold = np.array([assigned.get(sha) or "" for sha in table.sha256], dtype=object)
    names = sorted(set(assigned.values()))
    if "training" in names:
        tested = "validation" if "validation" in names else "testing"
        sides = (np.flatnonzero(fold == "training"), np.flatnonzero((fold == tested) & photos))
        return [Fold(repeat, 0, *sides)]
    named = fold != ""
    return [
        Fold(repeat, number, np.flatnonzero(named & (fold != name)), np.flatnonzero(photos & (fold == name)))
        for number, name in enumerate(sorted(names, key=int))
    ]
