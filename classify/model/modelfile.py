"""Read and write the model file, which cannot run code when it is loaded.

It is a zip of exactly three members, all stored without compression; there is no pickle anywhere:

- ``model.json``: the protocol number and everything of `Model` but what follows; where `PlainHead` can express the
  head, also that, which names arrays of head.skops, so that nothing is kept twice;
- ``head.skops``: the fitted head in the format of skops, which names the types it needs, so that they can be
  checked before one of them is imported;
- ``outliers.f2``: the training vectors of `Outliers`, plain float16; empty where there are none.
"""

import base64
import io
import json
import os
import warnings
import zipfile
import zlib
from collections.abc import Iterable
from functools import partial
from importlib import metadata
from typing import Annotated, Any

import numpy as np
from msgspec import Meta, Struct, ValidationError, convert

from classify.heads.plain import PlainHead, plain_head
from classify.model.answers import AnswerRule
from classify.model.model import Model, OperatingPoint, StoredHead, StoredModel
from classify.model.outliers import Outliers
from classify.model.skops_head import (
    DEFINITIONS,
    MOST_VALUES,
    audit_head,
    check_head,
    construct,
    damaged,
    damaged_where,
    dump_with_files,
    may_need_foreign_types,
    other_version,
    undated,
)
from featurize.errors import ModelError
from featurize.files import is_readable
from featurize.outputs import MODEL, check_outputs, given_date, whole_file
from featurize.remote import AnyPath, Location, path_at, shown
from featurize.terminal import log


class Scores(Struct):
    accuracy: float
    log_loss: float


class Candidate(Struct):
    """One of a search: its scores, or why it has none."""

    params: dict[str, Any]
    error: str | None = None
    accuracy: float | None = None
    log_loss: float | None = None

    def __post_init__(self) -> None:
        if self.error is None and None in (self.accuracy, self.log_loss):
            raise ValueError("Expected `accuracy` and `log_loss`, or `error`")


class Search(Struct):
    by: str
    n_folds: int
    head: str
    trail: list[Candidate]


class Course(Struct):
    """Of a training in steps; a copy that was saved on the way knows its step alone."""

    accuracy: float | None = None
    cross_entropy: float | None = None
    best_step: int | None = None
    steps: int | None = None

    def __post_init__(self) -> None:
        if self.accuracy is not None and None in (self.cross_entropy, self.best_step, self.steps):
            raise ValueError("Expected `cross_entropy`, `best_step` and `steps` beside `accuracy`")


class Training(Struct):
    head: str | None = None
    photos_per_label: dict[str, int | None] | None = None
    rows: int | None = None
    photos: int | None = None
    versions: dict[str, Any] | None = None
    trust: list[str] | None = None
    tuning: Search | None = None
    steps: Course | None = None
    block_weights: list[float] | None = None
    scores: Scores | None = None
    corrections: dict[str, int] | None = None


class Features(Struct):
    """How features are made; of the family "imported" there is only a table."""

    family: str | None = None
    fingerprint: str | None = None
    description: dict[str, Any] | None = None
    weights: dict[str, Any] | None = None
    remarks: list[str] | None = None
    versions: dict[str, Any] | None = None
    golden: list[float] | None = None
    spec: str | None = None
    params: dict[str, Any] | None = None
    blocks: list[Annotated[int, Meta(gt=0)]] | None = None

    def __post_init__(self) -> None:
        if self.family not in (None, "imported") and None in (self.spec, self.params, self.description):
            raise ValueError("Expected `spec`, `params` and `description` beside `family`")


class Description(Struct):
    """``model.json``: what of it is used, and of which kind it must be; other keys are nobody's business."""

    labels: Annotated[list[str], Meta(min_length=1)]
    features: str
    widths: Annotated[list[Annotated[int, Meta(gt=0)]], Meta(min_length=1)]
    described: dict[str, Features]
    training: Training
    definitions: dict[str, Any]
    seen: str
    relabel: dict[str, str] | None = None
    outliers: dict[str, Any] | None = None
    operating_point: dict[str, Any] | None = None
    operating_point_expected: dict[str, Any] | None = None
    answers: dict[str, Any] | None = None
    plain: dict[str, Any] | None = None

    def __post_init__(self) -> None:
        described: dict[str, dict] = {part: {} for part in self.described}
        if len(self.widths) != len(Model(None, self.features, self.widths, described).parts):
            raise ValueError("Expected as many `widths` as `features`")
        if sum(self.widths) > WIDEST:
            raise ValueError(f"Expected `widths` of at most {WIDEST:,} numbers")


# Raised by one when a program that knows only the old number would misread the new file: when a key of model.json
# changes its meaning or goes away, or a member is added; `load_model` must read the old numbers too.
# A model that holds its head as plain arrays is of protocol 2; others are of protocol 1 still.
WITHOUT_PLAIN, WITH_PLAIN = 1, 2
DESCRIPTION, HEAD, OUTLIERS = "model.json", "head.skops", "outliers.f2"
OTHER_VERSION = "install the version of bottlehead that wrote it, or train again"
LARGE = 20e6  # bytes; worth a word before it is written
LARGEST_DESCRIPTION = 64 * 2**20  # bytes; six million training images
CHANGING = "date", "seconds"  # what a training tells that differs from run to run
WIDEST = 10_000_000  # numbers of a vector: one of zeros is tried when a model is read


def save_model(model: Model, path: Location) -> None:
    """Write a model, whole or not at all; one of more than 20 MB is announced with its size.

    The same model gives the same bytes: the file does not tell when it was made, nor how long that took, unless the
    environment variable SOURCE_DATE_EPOCH gives the date, in seconds since 1970.

    A UsageError where the folder does not exist, a ModelError where the head holds something that skops cannot write.
    """
    path = path_at(path)
    check_outputs([(path, MODEL)])
    head, files = dump_with_files(model.head)
    found = plain_head(model.head)
    plain = None if found is None else found.to_parts(files)
    described, vectors = (None, b"") if model.outliers is None else model.outliers.to_parts()
    date = given_date()
    dated = {} if date is None else {"date": date}
    about = {
        "protocol": WITHOUT_PLAIN if plain is None else WITH_PLAIN,
        "definitions": DEFINITIONS,
        "labels": model.labels,
        "features": model.features,
        "widths": [int(width) for width in model.widths],
        "described": model.described,
        "relabel": model.relabel,
        "operating_point": model.operating_point and model.operating_point.to_dict(),
        "operating_point_expected": model.operating_point and model.operating_point.expected_dict(),
        "outliers": described,
        "training": {key: value for key, value in model.training.items() if key not in CHANGING} | dated,
        "seen": base64.b64encode(model.hashes.astype(">u8").tobytes()).decode("ascii"),
    }
    if plain is not None:
        about["plain"] = plain
    if model.answers is not None:  # older programs read past it, and give labels as before
        about["answers"] = model.answers.to_dict()
    description = json.dumps(about, sort_keys=True, indent=1).encode()
    size = len(description) + len(head) + len(vectors)
    if size > LARGE:
        log.info("%s will take %.0f MB, of which %.0f MB are the head", path, size / 1e6, len(head) / 1e6)
    with whole_file(path, MODEL) as partial, zipfile.ZipFile(partial, "w", zipfile.ZIP_STORED) as archive:
        # The head, a zip itself, comes last: no reader takes it for the whole of a file that was cut off.
        for name, data in ((DESCRIPTION, description), (OUTLIERS, vectors), (HEAD, head)):
            archive.writestr(undated(name), data)


def load_model(path: Location, *, trust: Iterable[str] = ()) -> Model:
    """Read a model; nothing of the file is imported or run before it has been checked.

    Parameters
    ----------
    path : str or Path
    trust : iterable of str
        Types to accept beyond the fixed list, by their dotted names: only for files whose maker you trust.

    Raises
    ------
    ModelError
        If the file is missing, damaged, no model, of another protocol, or needs a type that is not trusted.
    """
    description, head_bytes, vectors = _members(path_at(path))
    path = shown(path)
    checked = _checked_description(path, description)
    load = partial(_load_head, path, checked, head_bytes, list(trust))
    if may_need_foreign_types(head_bytes):
        audit_head(head_bytes, trust, str(path))
    plain = _plain(path, checked, head_bytes)
    if plain is None:
        return _assembled(path, checked, load(), vectors)
    here = metadata.version("scikit-learn")
    theirs = (checked["training"].get("versions") or {}).get("scikit-learn", here)
    if theirs != here:
        what = "%s was trained with scikit-learn %s, and here is %s: its plain arrays predict the same"
        log.info(what, path, theirs, here)
    return _assembled(path, checked, StoredHead(checked["labels"], plain, load), vectors)


def _plain(path: str | os.PathLike, checked: dict[str, Any], head_bytes: bytes) -> PlainHead | None:
    if checked.get("plain") is None:
        return None
    unfit = ValidationError, ValueError, KeyError, TypeError
    with damaged_where(path, *unfit), zipfile.ZipFile(io.BytesIO(head_bytes)) as archive:

        def read(name: str) -> np.ndarray:
            with archive.open(name) as member:
                return np.lib.format.read_array(member, allow_pickle=False)

        width, n_labels = sum(checked["widths"]), len(checked["labels"])
        return PlainHead.from_parts(checked["plain"], read, width, n_labels)


def _load_head(path: str | os.PathLike, checked: dict[str, Any], head_bytes: bytes, trust: list[str]) -> Any:
    """scikit-learn's head; a ModelError where it needs other types or versions."""
    versions = checked["training"].get("versions")
    needed = audit_head(head_bytes, trust, str(path), versions)
    _check_definitions(path, checked["definitions"], needed)
    labels, width = checked["labels"], sum(checked["widths"])
    try:
        head = construct(path, head_bytes)
        with damaged_where(path, AttributeError, TypeError, ValueError):
            n_features = head.n_features_in_ or len(head.feature_names_)  # CatBoost forgets the first
            fits = [str(one) for one in head.classes_] == labels and n_features == width
        if not fits or not hasattr(head, "predict_proba"):
            raise damaged(path, f"its head does not fit its {DESCRIPTION}")
        _probe(path, head, width, len(labels))
    except ModelError as error:
        if isinstance(error.__cause__, ModuleNotFoundError) and error.__cause__.name:
            package = error.__cause__.name.partition(".")[0]
            theirs = (versions or {}).get(package)
            hint = f"pip install {package}=={theirs}" if theirs else "run it where Python can import that"
            what = f"{path} needs the package {package}, which is not installed"
            raise ModelError(what, hint) from error
        reason = str(error.args[0]).removeprefix(f"{path} cannot be read as a model: ")
        raise (other_version(path, versions, reason) or error) from error
    return head


def _members(path: AnyPath) -> tuple[bytes, bytes, bytes]:
    """The three members, after checking that the zip is what `save_model` writes and nothing more."""
    if not is_readable(path, ModelError):
        raise ModelError(f"there is no model {path}", "make one with `classify train TABLE -o MODEL`")
    unreadable = OSError, EOFError, ValueError, KeyError, NotImplementedError, RuntimeError, zlib.error
    try:
        with (
            damaged_where(path, *unreadable),
            path.open("rb") as stream,
            zipfile.ZipFile(stream) as archive,
        ):
            size = stream.seek(0, os.SEEK_END)
            found = archive.infolist()
            names = sorted(one.filename for one in found)
            if names != sorted([DESCRIPTION, HEAD, OUTLIERS]):
                hint = f"a model holds {DESCRIPTION}, {HEAD} and {OUTLIERS}, as `classify train` writes it"
                raise ModelError(f"{path} is no model: it holds {', '.join(names[:5]) or 'nothing'}", hint)
            _refuse_bomb(found, size, path)
            if archive.getinfo(DESCRIPTION).file_size > LARGEST_DESCRIPTION:
                raise ModelError(f"the {DESCRIPTION} of {path} is too large", "this is no model of ours")
            description, head, vectors = map(archive.read, (DESCRIPTION, HEAD, OUTLIERS))
        # A hostile header breaks numpy's reader anywhere.
        with damaged_where(path, Exception), zipfile.ZipFile(io.BytesIO(head)) as archive:
            _refuse_bomb(archive.infolist(), len(head), path)
            check_head(archive, len(head))
    except zipfile.BadZipFile as error:
        with path.open("rb") as stream:
            if stream.read(2) == b"PK":
                raise damaged(path, error) from error
        hint = "give the file that `classify train` wrote; it comes before photos and tables"
        raise ModelError(f"{path} cannot be read as a model: it is something else", hint) from None
    return description, head, vectors


def _refuse_bomb(members: list[zipfile.ZipInfo], size: int, path: AnyPath) -> None:
    # Stored members cannot unpack to more than the file holds, unless they overlap; then their sum tells.
    packed = any(one.compress_type != zipfile.ZIP_STORED for one in members)
    if packed or sum(one.file_size for one in members) > size:
        hint = "a model is stored without compression; do not use this file"
        raise ModelError(f"{path} would unpack to more than it holds ({size} bytes)", hint)


def _checked_description(path: str | os.PathLike, data: bytes) -> dict[str, Any]:
    with damaged_where(path, ValueError, RecursionError):
        if sum(map(data.count, (b",", b"[", b"{"))) > MOST_VALUES:
            raise ValueError(f"{DESCRIPTION} holds more than {MOST_VALUES:,} values")
        description = json.loads(data)
    protocol = description.get("protocol") if isinstance(description, dict) else None
    if protocol not in (WITHOUT_PLAIN, WITH_PLAIN) or protocol is True:
        known = f"{WITHOUT_PLAIN} and {WITH_PLAIN}"
        what = f"{path} has model protocol {protocol}; this version of bottlehead reads protocols {known}"
        raise ModelError(what, OTHER_VERSION)
    try:
        convert(description, Description)
    except ValidationError as error:
        what, _, where = str(error).partition(" - at `$.")  # the path of the value
        raise damaged(path, f"{DESCRIPTION}: {where and '`' + where + ': '}{what}") from error
    return description


def _check_definitions(path: str | os.PathLike, definitions: dict[str, Any], needed: set[str]) -> None:
    for name in sorted(DEFINITIONS.keys() & needed):
        theirs, ours = definitions.get(name), DEFINITIONS[name]
        if theirs != ours:
            what = f"{path} was fitted by {name} as of definition {theirs}; here it is {ours}"
            raise ModelError(f"{what}, which would compute something else", OTHER_VERSION)


def _assembled(path: str | os.PathLike, description: dict[str, Any], head: Any, vectors: bytes) -> Model:
    labels = description["labels"]
    kept = {key: description[key] for key in ("features", "widths", "described", "training")}
    with damaged_where(path, ValueError):
        hashes = np.frombuffer(base64.b64decode(description["seen"], validate=True), dtype=">u8")
    about, point = description.get("outliers"), description.get("operating_point")
    with damaged_where(path, KeyError, TypeError, ValueError, ArithmeticError):
        outliers = None if about is None else Outliers.from_parts(about, vectors, Model(None, **kept).blocks)
        expected = description.get("operating_point_expected")
        decided = None if point is None else OperatingPoint.from_dict(point, labels, expected)
        tree = description.get("answers")
        answers = None if tree is None else AnswerRule.from_dict(tree, labels)
    kept |= {"relabel": description.get("relabel"), "outliers": outliers, "operating_point": decided}
    kept["answers"] = answers
    made = StoredModel if isinstance(head, StoredHead) else Model
    return made(head, **kept, hashes=hashes.astype(np.uint64))


def _probe(path: str | os.PathLike, head: Any, width: int, n_labels: int) -> None:
    """One prediction: the arrays of an edited head need not fit each other."""
    predicting = damaged_where(path, Exception, what="its head cannot predict: ")
    with predicting, warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        shape = np.shape(head.predict_proba(np.zeros((1, width), dtype=np.float32)))
    if shape != (1, n_labels):
        raise damaged(path, f"its head gives probabilities of shape {shape} for one photo")
