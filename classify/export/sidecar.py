"""The JSON beside an exported file: where it lies, what it tells, and the card of it for people."""

import hashlib
import json
import os
from collections.abc import Mapping
from typing import Any

from classify.export.check import Agreement
from classify.export.formats import FOLDER, KINDS
from classify.model.answers import AnswerRule
from classify.model.model import OperatingPoint
from featurize.errors import ModelError, UsageError
from featurize.files import is_readable
from featurize.outputs import kinds_of
from featurize.remote import Location, RemotePath, path_at, shown
from featurize.terminal import printable

VERSION = 1  # of the JSON beside an export
IN_FOLDER = "export.json"
ENDINGS = f"{', '.join(sorted(set(KINDS) - {FOLDER}))}, or a folder (NAME/) for a saved_model"
LINES = {"pixels": "equal pixels  ", "photos": "whole photos  ", "converted": "converted     "}


def ending_of(path: Location) -> str:
    """Which format is meant: a key of `KINDS`; UsageError if none is."""
    place, text = path_at(path), os.fspath(path) if not isinstance(path, RemotePath) else str(path)
    suffix = place.suffix.lower()
    if place.name.lower() in KINDS:
        raise UsageError(f"{text} is an ending without a name", f"give one as model{place.name}")
    if suffix in KINDS and not text.endswith(("/", os.sep)):
        return suffix
    if isinstance(place, RemotePath):
        raise UsageError(f"{text} is no file that can be exported at a URL", f"the endings are {ENDINGS}")
    if text.endswith(("/", os.sep)) or not suffix or place.is_dir():
        return FOLDER
    raise UsageError(f"{suffix} of {text} is no format of exports", f"the endings are {ENDINGS}")


def sidecar_of(path: Location) -> Any:
    """Where the JSON of an export lies."""
    place = path_at(path)
    return place / IN_FOLDER if ending_of(path) == FOLDER else place.parent / f"{place.name}.json"


def find_export(path: Location) -> dict[str, Any] | None:
    """The JSON of an export; None where there is something else, a ModelError where an export has lost its JSON."""
    place, is_a_file = path_at(path), is_readable(path, ModelError)
    try:
        sidecar = sidecar_of(path)
    except UsageError:  # another ending
        return None
    found = _read_sidecar(sidecar)
    if found is None and is_a_file and (kinds := kinds_of(place) & set(KINDS.values())):
        if place.name == "saved_model.pb" and _read_sidecar(place.parent / IN_FOLDER) is not None:
            raise ModelError(
                f"{shown(path)} is a part of an export", f"give its folder, {shown(place.parent)}"
            )
        kind = " or ".join(sorted(kinds))
        what = f"{shown(path)} is {kind}, without the {sidecar.name} that `classify export` writes beside it"
        hint = (
            "keep the two together; of a graph that retrain.py trained, `classify import-graph` makes a model"
        )
        raise ModelError(what, hint)
    return found if is_a_file or place.is_dir() else None


def _read_sidecar(path: Any) -> dict[str, Any] | None:
    try:
        with path.open("rb") as stream:
            found = json.loads(stream.read())
    except (OSError, ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) and found.get("export") == VERSION else None


def export_card(about: Mapping[str, Any], path: Location) -> str:
    """A text for people: what an exported file is, takes and gives, and how far it is from its model."""
    entering, place = about["input"], path_at(path)
    lines = [f"export    {about['format']}, {about['precision']}"]
    if "shape" in entering:
        shape = " × ".join("n" if side is None else str(side) for side in entering["shape"])
        lines += [
            f"input     {entering['name']}: {entering['type']}, {shape}, {entering['pixels']}",
            f"resize    {about['resize']}",
        ]
    else:
        lines += [
            f"input     vectors of {entering['vectors']}, {sum(entering['widths'])} numbers",
            f"vectors   {about['vectors']}",
        ]
    lines += [
        f"scaling   {about['scaling']}",
        f"output    {about['output']}",
        f"labels    {len(about['labels'])}",
    ]
    lines += [f"  {label}" for label in about["labels"]]
    if about["operating_point"] is not None:
        lines += ["decides", f"  {OperatingPoint.from_dict(about['operating_point'], about['labels'])}"]
    if about.get("answers") is not None:
        lines += ["answers", f"  {AnswerRule.from_dict(about['answers'], about['labels'])}"]
    lines.append(f"model     {about['head']} on {about['features']}")
    lines.append(f"checked   on {about['check']['source']}")
    lines += [f"  {line}" for line in check_lines(about)]
    if about["forced"]:
        lines.append(f"  written by force: {about['forced']}")
    lines.append(f"size      {size_in_words(about)}")
    if (now := _digests_now(place, about)) != about["sha256"]:
        changed = [name for name, digest in about["sha256"].items() if now.get(name) != digest]
        lines.append(f"changed   since the export: {', '.join(changed)}")
    return "".join(printable(line) + "\n" for line in lines)


def check_lines(about: Mapping[str, Any]) -> list[str]:
    """How far an export is from its model, on equal pixels and on whole photos (of a head: on vectors)."""
    found = {name: Agreement(**about["check"][name]) for name in LINES if name in about["check"]}
    if "shape" not in about["input"]:
        return [f"vectors       {found['pixels']}"]
    return [f"{LINES[name]}{agreement}" for name, agreement in found.items() if agreement.photos]


def size_in_words(about: Mapping[str, Any]) -> str:
    """Bytes, operations and milliseconds of an export."""
    operations = "" if about["operations"] is None else f", {about['operations']} operations"
    n_bytes = about["bytes"]
    size = f"{n_bytes / 1e6:.1f} MB" if n_bytes >= 1e5 else f"{n_bytes / 1e3:.1f} kB"
    took = about["ms_per_photo"]
    return f"{size}{operations}, {took:.{0 if took >= 10 else 2}f} ms a photo"


def _digests_now(place: Any, about: Mapping[str, Any]) -> dict[str, str]:
    """By the names of the time of the export; the files may have other names by now."""
    found, before, today = {}, *(name.removesuffix(place.suffix) for name in (about["file"], place.name))
    for name in about["sha256"]:
        file = place / name if place.is_dir() else place.parent / name.replace(before, today, 1)
        if file.is_file():
            with file.open("rb") as stream:
                found[name] = hashlib.file_digest(stream, "sha256").hexdigest()
    return found
