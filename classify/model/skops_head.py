"""A fitted head as bytes in the format of skops: the same bytes for the same head, and no type but those allowed."""

import io
import json
import os
import warnings
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path
from typing import Any

from featurize.errors import ModelError
from featurize.files import SMALL
from featurize.outputs import check_clock
from featurize.remote_errors import RemoteError
from featurize.tableformat import check_array, check_arrays
from featurize.terminal import log

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

SCHEMA = "schema.json"
MOST_VALUES = 1 << 20  # of a JSON in a model; a hundred bytes each when it is read
PACKAGES = {"sklearn", "scipy", "numpy"}

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


def other_version(name: object, versions: Mapping[str, Any] | None, reason: str) -> ModelError | None:
    """The error of a head that cannot be used, where it was fitted by another scikit-learn; else None."""
    here = metadata.version("scikit-learn")
    theirs = (versions or {}).get("scikit-learn", here)
    if theirs == here:
        return None
    what = f"{name} was fitted by scikit-learn {theirs}, and cannot be used with {here}: {reason}"
    return ModelError(what, f"install scikit-learn {theirs}, or train it again")


def dump_head(head: Any) -> bytes:
    """A head in skops format, as it stands in files."""
    return dump_with_files(head)[0]


def dump_with_files(head: Any) -> tuple[bytes, dict[int, str]]:
    """A head in skops format, and the name of the file of each array in it, by the array's `id`."""
    from skops.io import dumps

    check_clock()
    try:
        return _numbered(dumps(head, compression=zipfile.ZIP_STORED))
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

    with damaged_where(name, Exception):  # a hostile file may break skops' reader anywhere
        types = get_untrusted_types(data=_translated(data, ADDRESSES))
    needed, trusted = ({IN_FILES.get(one, one) for one in some} for some in (types, trust))
    foreign = sorted(needed - ALLOWED - ALLOWED_FOR_OLDER_SKOPS - trusted)
    libraries = {one.partition(".")[0] for one in foreign} <= PACKAGES
    if foreign and libraries and (error := other_version(name, versions, f"it needs {', '.join(foreign)}")):
        raise error
    if foreign:
        trusting = f"add --trust {','.join(foreign)}; in Python, trust={foreign}"
        hint = f"if you trust whoever made it, {trusting}; otherwise do not use it"
        raise ModelError(f"{name} needs types that are not known to be safe: {', '.join(foreign)}", hint)
    return needed


def _translated(head: bytes, names: Mapping[str, str]) -> bytes:
    """The skops archive with other addresses of classes in its schema: those of `names`."""
    members = _read(head)
    schema = json.loads(members[SCHEMA])
    _translate(schema, names)
    return _zipped(members | {SCHEMA: _schema(schema)})


def _translate(node: Any, names: Mapping[str, str]) -> None:
    if isinstance(node, dict):
        # scikit-learn 1.7 calls its module of losses by half of its name, which no other version can import.
        if node.get("__module__") == "_loss":
            node["__module__"] = "sklearn._loss._loss"
        address = names.get(f"{node.get('__module__')}.{node.get('__class__')}")
        if address is not None:
            node["__module__"], _, node["__class__"] = address.rpartition(".")
        node = list(node.values())
    for inner in node if isinstance(node, list) else ():
        _translate(inner, names)


def _numbered(head: bytes) -> tuple[bytes, dict[int, str]]:
    """The skops archive as it stands in files: `IN_FILES`, and numbers in the order of its schema for addresses.

    skops writes addresses in memory; this way the same head gives the same bytes. Numbers and words are told apart by
    their places, since it is Python's business which of them are one object. The new name of each file is returned by
    its address.
    """
    members = _read(head)
    schema = json.loads(members.pop(SCHEMA))
    _translate(schema, IN_FILES)
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


def may_need_foreign_types(head: bytes) -> bool:
    """Whether a type is neither of Python's simplest, nor of the libraries that heads are made of, nor ours."""
    with zipfile.ZipFile(io.BytesIO(head)) as archive:
        nodes = list(_nodes(json.loads(archive.read(SCHEMA))))
    for name in {f"{node['__module__']}.{node['__class__']}" for node in nodes if "__class__" in node}:
        package, _, rest = name.partition(".")
        simple = package == "builtins" and rest in ("dict", "list", "str", "tuple")
        if not simple and package not in PACKAGES and name not in ALLOWED:
            return True
    return False


def _read(archive: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(archive)) as opened:
        return {name: opened.read(name) for name in opened.namelist()}


def _zipped(members: Mapping[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, data in members.items():
            archive.writestr(undated(name), data)
    return stream.getvalue()


def _schema(schema: Any) -> bytes:
    return json.dumps(schema, indent=2).encode()  # as skops writes it


def undated(name: str) -> zipfile.ZipInfo:
    """A member that says nothing of the time at which it was written."""
    member = zipfile.ZipInfo(name)
    member.external_attr = 0o600 << 16  # its rights where it is unpacked
    return member


def check_head(archive: zipfile.ZipFile, size: int) -> None:
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


def construct(path: str | os.PathLike, head_bytes: bytes) -> Any:
    """The head of a file, whose types were audited before."""
    from sklearn.exceptions import InconsistentVersionWarning
    from skops.io import get_untrusted_types, loads

    head_bytes = _translated(head_bytes, ADDRESSES)
    # A hostile file may hold arrays and states that no class expects.
    with damaged_where(path, Exception), warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("ignore")
        warnings.simplefilter("always", InconsistentVersionWarning)
        head = loads(head_bytes, trusted=get_untrusted_types(data=head_bytes))
    if caught:
        theirs = str(getattr(caught[0].message, "original_sklearn_version", "another version"))
        ours = getattr(caught[0].message, "current_sklearn_version", "another")
        log.warning("%s was fitted by scikit-learn %s; here is %s; check some photos", path, theirs, ours)
    return head


@contextmanager
def damaged_where(path: Any, *errors: type[Exception], what: str = "") -> Iterator[None]:
    """Turn these errors into ours."""
    try:
        yield
    except ModelError:
        raise
    except RemoteError as error:
        raise ModelError(f"{path} cannot be read: {error.strerror}", error.hint) from error
    except errors as error:
        raise damaged(path, f"{what}{error}") from error


def damaged(path: Any, error: object) -> ModelError:
    """The error of a file that cannot be read as a model."""
    hint = "it is damaged or something else; train it again"
    return ModelError(f"{path} cannot be read as a model: {error}", hint)
