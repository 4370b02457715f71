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
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from msgspec import Meta, Struct, ValidationError, convert

from classify.heads.plain import PlainHead, plain_head
from classify.model.answers import AnswerRule
from classify.model.model import Model, OperatingPoint, StoredHead, StoredModel
from classify.model.outliers import Outliers
from featurize.errors import ModelError
from featurize.files import SMALL, is_readable
from featurize.outputs import MODEL, check_clock, check_outputs, given_date, whole_file
from featurize.remote import AnyPath, Location, RemoteError, path_at, shown
from featurize.tableformat import check_array, check_arrays
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
# Names in files are part of the format, and stay when code moves: the class of each today. Files are translated when
# they are read and when they are written, so that other versions of this package can read them, too.
ADDRESSES = {
    "classify.calibrate.Calibrated": "classify.heads.calibrate.Calibrated",
    "classify.encoding.EncodedLabels": "classify.heads.fitting.EncodedLabels",
    "classify.scaling.BlockScaler": "classify.heads.scaling.BlockScaler",
    "classify.stepped.Stepped": "classify.heads.steps.SGDHead",
    "classify.tuned.TunedHead": "classify.heads.tuning.TunedHead",
    "classify.tuning.Tuning": "classify.heads.tuning.Tuning",
    "classify.weighting.Weighted": "classify.heads.fitting.ClassWeighted",
}
IN_FILES = {today: name for name, today in ADDRESSES.items()}
# Of our own classes, by their names in files. Raise one when the class, given what an older version of it has learnt,
# would compute something else: models fitted before are then refused instead of misused.
DEFINITIONS = dict.fromkeys(
    ("classify.calibrate.Calibrated", "classify.scaling.BlockScaler", "classify.weighting.Weighted"), 1
)
DESCRIPTION, HEAD, OUTLIERS, SCHEMA = "model.json", "head.skops", "outliers.f2", "schema.json"
OTHER_VERSION = "install the version of bottlehead that wrote it, or train again"
LARGE = 20e6  # bytes; worth a word before it is written
LARGEST_DESCRIPTION = 64 * 2**20  # bytes; six million training images
MOST_VALUES = 1 << 20  # of its JSON; a hundred bytes each when it is read
CHANGING = "date", "seconds"  # what a training tells that differs from run to run
PACKAGES = {"sklearn", "scipy", "numpy"}
WIDEST = 10_000_000  # numbers of a vector: one of zeros is tried when a model is read

# What registered heads need beyond the scikit-learn, scipy and numpy types that skops itself holds to be safe.
ALLOWED = {
    *DEFINITIONS,
    "classify.encoding.EncodedLabels",
    "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
    "sklearn.neural_network._stochastic_optimizers.AdamOptimizer",
    "sklearn.neural_network._stochastic_optimizers.SGDOptimizer",
    "sklearn.tree._tree.Tree",
}
# What gradient boosting needs beyond them where skops is older than the version that holds these to be safe.
ALLOWED_FOR_OLDER_SKOPS = {
    "sklearn._loss._loss.CyHalfBinomialLoss",
    "sklearn._loss._loss.CyHalfMultinomialLoss",
    "sklearn._loss.link.Interval",
    "sklearn._loss.link.LogitLink",
    "sklearn._loss.link.MultinomialLogit",
    "sklearn._loss.loss.HalfBinomialLoss",
    "sklearn._loss.loss.HalfMultinomialLoss",
    "sklearn.ensemble._hist_gradient_boosting.binning._BinMapper",
}
# For other readers of skops, such as MLflow's: the classes of ours, by their modules today, and what registered heads
# need beyond the types that skops itself holds to be safe.
TRUSTED_TYPES = sorted(
    {ADDRESSES.get(name, name) for name in ALLOWED | ALLOWED_FOR_OLDER_SKOPS | ADDRESSES.keys()}
)


def save_model(model: Model, path: Location) -> None:
    """Write a model, whole or not at all; one of more than 20 MB is announced with its size.

    The same model gives the same bytes: the file does not tell when it was made, nor how long that took, unless the
    environment variable SOURCE_DATE_EPOCH gives the date, in seconds since 1970.

    A UsageError where the folder does not exist, a ModelError where the head holds something that skops cannot write.
    """
    path = path_at(path)
    check_outputs([(path, MODEL)])
    head, files = _dumped(model.head)
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
            archive.writestr(_undated(name), data)


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
    if any(map(_may_be_foreign, _names_of_types(head_bytes))):
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
    with _damaged_where(path, *unfit), zipfile.ZipFile(io.BytesIO(head_bytes)) as archive:

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
        head = _construct(path, _translated(head_bytes, ADDRESSES))
        with _damaged_where(path, AttributeError, TypeError, ValueError):
            n_features = head.n_features_in_ or len(head.feature_names_)  # CatBoost forgets the first
            fits = [str(one) for one in head.classes_] == labels and n_features == width
        if not fits or not hasattr(head, "predict_proba"):
            raise _damaged(path, f"its head does not fit its {DESCRIPTION}")
        _probe(path, head, width, len(labels))
    except ModelError as error:
        if isinstance(error.__cause__, ModuleNotFoundError) and error.__cause__.name:
            package = error.__cause__.name.partition(".")[0]
            theirs = (versions or {}).get(package)
            hint = f"pip install {package}=={theirs}" if theirs else "run it where Python can import that"
            what = f"{path} needs the package {package}, which is not installed"
            raise ModelError(what, hint) from error
        reason = str(error.args[0]).removeprefix(f"{path} cannot be read as a model: ")
        raise (_other_version(path, versions, reason) or error) from error
    return head


def _other_version(name: object, versions: Mapping[str, Any] | None, reason: str) -> ModelError | None:
    """The error of a head that cannot be used, where it was fitted by another scikit-learn; else None."""
    here = metadata.version("scikit-learn")
    theirs = (versions or {}).get("scikit-learn", here)
    if theirs == here:
        return None
    what = f"{name} was fitted by scikit-learn {theirs}, and cannot be used with {here}: {reason}"
    return ModelError(what, f"install scikit-learn {theirs}, or train it again")


def dump_head(head: Any) -> bytes:
    """A head in skops format, as it stands in files."""
    return _dumped(head)[0]


def _dumped(head: Any) -> tuple[bytes, dict[int, str]]:
    """A head in skops format, and the name of the file of each array in it, by the array's `id`."""
    from skops.io import dumps

    check_clock()
    try:
        return _numbered(_translated(dumps(head, compression=zipfile.ZIP_STORED), IN_FILES))
    except Exception as error:  # skops asks each object for its state, and any class may fail at that
        hint = "use a scikit-learn classifier, or a registered head"
        raise ModelError(f"the head cannot be written: {error}", hint) from error


def audit_head(
    data: bytes,
    trust: Iterable[str] = (),
    name: str = "the head",
    versions: Mapping[str, Any] | None = None,
) -> set[str]:
    """Refuse a head, as `dump_head` gives it, that needs types beyond the fixed list and `trust`; none is imported.

    Returns the types that it needs beyond those that skops itself holds to be safe, by their names in files. Where
    `versions`, of the training, are others, types of scikit-learn and its like are those of another version.
    """
    from skops.io import get_untrusted_types

    with _damaged_where(name, Exception):  # a hostile file may break skops' reader anywhere
        types = get_untrusted_types(data=_translated(data, ADDRESSES))
    needed, trusted = ({IN_FILES.get(one, one) for one in some} for some in (types, trust))
    foreign = sorted(needed - ALLOWED - ALLOWED_FOR_OLDER_SKOPS - trusted)
    libraries = {one.partition(".")[0] for one in foreign} <= PACKAGES
    if foreign and libraries and (error := _other_version(name, versions, f"it needs {', '.join(foreign)}")):
        raise error
    if foreign:
        hint = f"if you trust whoever made it, add --trust {','.join(foreign)}; otherwise do not use it"
        raise ModelError(f"{name} needs types that are not known to be safe: {', '.join(foreign)}", hint)
    return needed


def _translated(head: bytes, names: Mapping[str, str]) -> bytes:
    """The skops archive with other addresses of classes in its schema: those of `names`."""

    def translate(node: Any) -> None:
        if isinstance(node, dict):
            # scikit-learn 1.7 calls its module of losses by half of its name, which no other version can import.
            if node.get("__module__") == "_loss":
                node["__module__"] = "sklearn._loss._loss"
            address = names.get(f"{node.get('__module__')}.{node.get('__class__')}")
            if address is not None:
                node["__module__"], _, node["__class__"] = address.rpartition(".")
            node = list(node.values())
        for inner in node if isinstance(node, list) else ():
            translate(inner)

    members = _read(head)
    schema = json.loads(members[SCHEMA])
    translate(schema)
    return _zipped(members | {SCHEMA: _schema(schema)})


def _numbered(head: bytes) -> tuple[bytes, dict[int, str]]:
    """The skops archive with numbers in the order of its schema for the addresses in memory that skops writes.

    So the same head gives the same bytes. Numbers and words are told apart by their places, since it is Python's
    business which of them are one object. The new name of each file is returned by its address.
    """
    members = _read(head)
    schema = json.loads(members.pop(SCHEMA))
    ids: dict[Any, int] = {}
    files: dict[str, str] = {}
    for node in _nodes(schema):
        if "__id__" in node:
            address = object() if node.get("__loader__") == "JsonNode" else node["__id__"]
            node["__id__"] = ids.setdefault(address, len(ids) + 1)
        if node.get("__class__") == "_BinMapper":
            # How many threads there were when gradient boosting was fitted; nothing asks for it afterwards.
            node["content"]["content"]["n_threads"]["content"] = "1"
        if node.get("file") in members:
            node["file"] = files.setdefault(node["file"], f"{len(files)}{Path(node['file']).suffix}")
    names = {int(Path(old).stem): new for old, new in files.items() if Path(old).stem.isdecimal()}
    renamed = {new: members[old] for old, new in files.items()}
    return _zipped(renamed | {SCHEMA: _schema(schema)}), names


def _nodes(schema: Any) -> Iterator[dict[str, Any]]:
    """Every mapping in a schema of skops, from the outermost."""
    pending = [schema]
    while pending:
        node = pending.pop()
        if isinstance(node, dict):
            yield node
            node = list(node.values())
        pending += reversed(node) if isinstance(node, list) else []


def _names_of_types(head: bytes) -> set[str]:
    with zipfile.ZipFile(io.BytesIO(head)) as archive:
        nodes = list(_nodes(json.loads(archive.read(SCHEMA))))
    return {f"{node['__module__']}.{node['__class__']}" for node in nodes if "__class__" in node}


def _may_be_foreign(name: str) -> bool:
    """Whether a type is neither of Python's simplest, nor of the libraries that heads are made of, nor ours."""
    package, _, rest = name.partition(".")
    simple = package == "builtins" and rest in ("dict", "list", "str", "tuple")
    return not simple and package not in PACKAGES and name not in ALLOWED


def _read(archive: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(archive)) as opened:
        return {name: opened.read(name) for name in opened.namelist()}


def _zipped(members: Mapping[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, data in members.items():
            archive.writestr(_undated(name), data)
    return stream.getvalue()


def _schema(schema: Any) -> bytes:
    return json.dumps(schema, indent=2).encode()  # as skops writes it


def _undated(name: str) -> zipfile.ZipInfo:
    """A member that says nothing of the time at which it was written."""
    member = zipfile.ZipInfo(name)
    member.external_attr = 0o600 << 16  # its rights where it is unpacked
    return member


def _members(path: AnyPath) -> tuple[bytes, bytes, bytes]:
    """The three members, after checking that the zip is what `save_model` writes and nothing more."""
    if not is_readable(path, ModelError):
        raise ModelError(f"there is no model {path}", "make one with `classify train TABLE -o MODEL`")
    unreadable = OSError, EOFError, ValueError, KeyError, NotImplementedError, RuntimeError, zlib.error
    try:
        with (
            _damaged_where(path, *unreadable),
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
        with _damaged_where(path, Exception), zipfile.ZipFile(io.BytesIO(head)) as archive:
            _refuse_bomb(archive.infolist(), len(head), path)
            _check_head(archive, len(head))
    except zipfile.BadZipFile as error:
        with path.open("rb") as stream:
            if stream.read(2) == b"PK":
                raise _damaged(path, error) from error
        hint = "give the file that `classify train` wrote; it comes before photos and tables"
        raise ModelError(f"{path} cannot be read as a model: it is something else", hint) from error
    return description, head, vectors


def _refuse_bomb(members: list[zipfile.ZipInfo], size: int, path: AnyPath) -> None:
    # Stored members cannot unpack to more than the file holds, unless they overlap; then their sum tells.
    packed = any(one.compress_type != zipfile.ZIP_STORED for one in members)
    if packed or sum(one.file_size for one in members) > size:
        hint = "a model is stored without compression; do not use this file"
        raise ModelError(f"{path} would unpack to more than it holds ({size} bytes)", hint)


def _check_head(archive: zipfile.ZipFile, size: int) -> None:
    """ValueError where skops would take more memory or time for a head than its bytes say.

    Each array is as large as its header says; a reader that follows each reference anew, as skops does where it looks
    for types, reads no more than the file holds, and comes to few nodes.
    """
    for one in archive.infolist():
        with archive.open(one) as member:
            if one.filename.endswith(".npy"):
                check_array(member, one.file_size)
            elif one.filename.endswith(".npz"):
                data = member.read()
                with zipfile.ZipFile(io.BytesIO(data)) as arrays:
                    check_arrays(arrays, len(data))
    schema = json.loads(archive.read(SCHEMA))
    sizes = {one.filename: one.file_size for one in archive.infolist()}
    nodes: dict[Any, list[Any]] = {}
    files: dict[Any, int] = {}
    pending = [schema]
    while pending:
        node = pending.pop()
        if isinstance(node, dict):
            key = str(node.get("__id__") or -id(node))
            nodes.setdefault(key, []).append(node)
            files[key] = max(files.get(key, 0), sizes.get(str(node.get("file")), 0))
            node = list(node.values())
        pending += node if isinstance(node, list) else []
    if sum(files.values()) > 2 * size + SMALL:
        raise ValueError("its head reads the same arrays again and again")
    reached: dict[Any, int] = {}

    def count(node: Any) -> int:
        if isinstance(node, dict):
            key = str(node.get("__id__") or -id(node))
            if key not in reached:
                reached[key] = 1  # of a circle, which skops goes through once
                reached[key] = max(count(list(one.values())) for one in nodes[key]) + 1
            return reached[key]
        return sum(map(count, node)) if isinstance(node, list) else 0

    if count(schema) > MOST_VALUES:
        raise ValueError("its head holds the same objects again and again")


def _checked_description(path: str | os.PathLike, data: bytes) -> dict[str, Any]:
    with _damaged_where(path, ValueError, RecursionError):
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
        raise _damaged(path, f"{DESCRIPTION}: {where and '`' + where + ': '}{what}") from error
    return description


def _check_definitions(path: str | os.PathLike, definitions: dict[str, Any], needed: set[str]) -> None:
    for name in sorted(DEFINITIONS.keys() & needed):
        theirs, ours = definitions.get(name), DEFINITIONS[name]
        if theirs != ours:
            what = f"{path} was fitted by {name} as of definition {theirs}; here it is {ours}"
            raise ModelError(f"{what}, which would compute something else", OTHER_VERSION)


def _construct(path: str | os.PathLike, head_bytes: bytes) -> Any:
    from sklearn.exceptions import InconsistentVersionWarning
    from skops.io import get_untrusted_types, loads

    # A hostile file may hold arrays and states that no class expects.
    with _damaged_where(path, Exception), warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("ignore")
        warnings.simplefilter("always", InconsistentVersionWarning)
        head = loads(head_bytes, trusted=get_untrusted_types(data=head_bytes))
    if caught:
        theirs = str(getattr(caught[0].message, "original_sklearn_version", "another version"))
        ours = getattr(caught[0].message, "current_sklearn_version", "another")
        log.warning("%s was fitted by scikit-learn %s; here is %s; check some photos", path, theirs, ours)
    return head


def _assembled(path: str | os.PathLike, description: dict[str, Any], head: Any, vectors: bytes) -> Model:
    labels = description["labels"]
    kept = {key: description[key] for key in ("features", "widths", "described", "training")}
    with _damaged_where(path, ValueError):
        hashes = np.frombuffer(base64.b64decode(description["seen"], validate=True), dtype=">u8")
    about, point = description.get("outliers"), description.get("operating_point")
    with _damaged_where(path, KeyError, TypeError, ValueError, ArithmeticError):
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
    predicting = _damaged_where(path, Exception, what="its head cannot predict: ")
    with predicting, warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        shape = np.shape(head.predict_proba(np.zeros((1, width), dtype=np.float32)))
    if shape != (1, n_labels):
        raise _damaged(path, f"its head gives probabilities of shape {shape} for one photo")


@contextmanager
def _damaged_where(path: Any, *errors: type[Exception], what: str = "") -> Iterator[None]:
    """Turn these errors into ours."""
    try:
        yield
    except ModelError:
        raise
    except RemoteError as error:
        raise ModelError(f"{path} cannot be read: {error.strerror}", error.hint) from error
    except errors as error:
        raise _damaged(path, f"{what}{error}") from error


def _damaged(path: Any, error: object) -> ModelError:
    hint = "it is damaged or something else; train it again"
    return ModelError(f"{path} cannot be read as a model: {error}", hint)
