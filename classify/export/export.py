"""Write a model for other programs, run what was written, and tell how far it is from the model."""

import errno
import hashlib
import importlib.metadata
import json
import os
import secrets
import shutil
import tempfile
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from classify.export.check import LIMITS, Agreement, check_photos, compare, milliseconds, read_photos
from classify.export.formats import FOLDER, HEAD, KINDS, MEASURED, NETWORKS, Job, Runner, load_jpeg
from classify.export.graph import ENTRY, RESULT, check_result, exported_graph
from classify.export.head_file import read_head, write_head
from classify.export.sidecar import ENDINGS, IN_FOLDER, VERSION, _read_sidecar, ending_of, sidecar_of
from classify.heads.plain import PlainHead
from classify.model.model import Model
from classify.prediction.extractors import Weights, check_golden, model_extractors
from classify.prediction.predict import Predictor
from classify.rows import select_vectors
from featurize.errors import ModelError, UsageError, message_of
from featurize.networks.network_extractor import FrozenExtractor
from featurize.outputs import (
    JSON,
    OPENVINO_WEIGHTS,
    PARTIAL,
    TEXT,
    UNKNOWN,
    check_outputs,
    is_streamed,
    kinds_of,
    sync_folder,
    whole_file,
)
from featurize.photos.photo import Photo
from featurize.remote import Location, path_at
from featurize.store.store import Store

FULL = errno.ENOSPC, errno.EDQUOT, errno.EFBIG
PLAIN_HEADS = "softmax, svm, linear-svm, mlp and lda"
HOW_TO_MAKE = "featurize extract PHOTOS -o VECTORS.parquet --like MODEL"


@dataclass(frozen=True)
class Wanted:
    """What is to be exported where, and compared on what."""

    place: Any
    ending: str
    precision: str = "float32"
    check: Any = None
    force: bool = False
    result: str = RESULT


def export_model(
    model: Model,
    path: Location,
    *,
    precision: str = "float32",
    check: Any = None,
    force: bool = False,
    weights: Weights = None,
    store: str | os.PathLike | None = None,
    inputs: Iterable[Location] = (),
    result: str = RESULT,
) -> dict[str, Any]:
    """Write a model for other programs, after running what was written and comparing it with the model.

    Parameters
    ----------
    model : Model
    path : str or Path
        The ending chooses: ``.npz`` (the head alone), ``.pb`` (a frozen graph, with ``.labels.txt``, as retrain.py
        wrote them), ``.tflite``, ``.onnx``, ``.xml`` (OpenVINO, with ``.bin``), or a folder (a saved_model). A JSON
        file, ``PATH.json`` or ``export.json`` in the folder, tells input, scaling, labels, digests and the comparison.
    precision : {"float32", "float16", "int8"}
        Of ``.tflite``. For int8 the photos of `check` also tell the ranges of numbers; the head stays float32.
    check : photos, optional
        What to compare on: a folder, a manifest, or paths; by default the golden image alone.
    force : bool
        Write it even if it does not say what the model says; the JSON tells.
    weights, store
        As in `Predictor`.
    inputs : paths
        Files that must not be overwritten, such as that of the model.
    result : str
        What the operation of a ``.pb`` that gives the probabilities is called; by default as retrain.py called it.

    Returns
    -------
    dict
        The content of the JSON file.

    Raises
    ------
    ModelError
        If the format cannot express the head or the features, or the written file disagrees with the model.
    UsageError
        If the ending is not known, a library is missing, or something else would be replaced.

    Examples
    --------
    >>> import tempfile
    >>> from classify import train_model
    >>> from featurize import FeatureTable
    >>> table = FeatureTable.from_arrays({"x": [[0.0], [0.1], [5.0], [5.1]]}, label=["fern", "fern", "moss", "moss"])
    >>> made = export_model(train_model(table), f"{tempfile.mkdtemp()}/head.npz")
    >>> made["labels"], made["check"]["pixels"]["difference"] < 1e-6
    (['fern', 'moss'], True)
    """
    place, ending = path_at(path), ending_of(path)
    outputs = _outputs(place, ending)
    check_outputs([(one, kind) for one, kind in outputs.items() if kind != KINDS[FOLDER]], inputs)
    check_result(result)
    if ending != ".pb" and result != RESULT:
        raise UsageError(f"the result {result!r} was given for {ending}", "leave it out: it is of .pb alone")
    if precision not in LIMITS:
        raise UsageError(f"precision {precision!r}", f"choose {', '.join(LIMITS)}")
    if precision != "float32" and ending != ".tflite":
        raise UsageError(f"{precision} is for .tflite alone", f"leave out the precision for {ending}")
    if precision == "int8" and check is None:
        hint = "give some photos of each label with --check"
        raise UsageError("int8 needs photos, to learn the ranges of the numbers inside", hint)
    head = model.plain
    if head is None:
        what = f"the head {model.training.get('head') or ''} cannot be written as plain arrays".replace(
            "  ", " "
        )
        raise ModelError(what, f"heads that can: {PLAIN_HEADS}; train one of these for an export")
    if model.answers is not None and ending != HEAD:
        raise ModelError(
            f"{ending} gives the labels alone, and cannot hold the tree that this model answers from",
            "export the head alone (-o HEAD.npz), which holds it, serve the model (`classify serve`), or train without "
            "--taxonomy",
        )
    wanted = Wanted(place, ending, precision, check, force, result)
    if ending == HEAD:
        return _export_head(model, head, wanted, *_vectors_to_check(model, check, weights, store))
    NETWORKS[ending].check_installed(ending)
    return _export_network(model, head, _network_of(model, ending, weights, store), wanted)


def _outputs(place: Any, ending: str) -> dict[Any, str]:
    """Every file (or the folder) that will be written, with its kind, the main one last."""
    if ending == FOLDER:
        _check_folder(place)
        return {place: KINDS[FOLDER]}
    beside: dict[Any, str] = {}
    if ending == ".pb":
        beside[_beside(place, ".labels.txt")] = TEXT
    if ending == ".xml":
        # Its content does not tell what it is; the file beside it does.
        known = place.is_file() and KINDS[ending] in kinds_of(place)
        beside[_beside(place, ".bin")] = UNKNOWN if known else OPENVINO_WEIGHTS
    return {**beside, sidecar_of(place): JSON, place: KINDS[ending]}


def _beside(place: Any, ending: str) -> Any:
    """The same path with another ending; also of a URL."""
    return place.parent / (place.name.removesuffix(place.suffix) + ending)


def _check_folder(folder: Path) -> None:
    target = Path(os.path.realpath(folder))
    if is_streamed(folder) or (target.exists() and not target.is_dir()):
        raise UsageError(f"{folder} is no folder", f"the endings are {ENDINGS}")
    if not target.parent.is_dir():
        raise UsageError(f"there is no folder {target.parent}", "make it first, or write elsewhere")
    if target.is_dir() and any(target.iterdir()) and _read_sidecar(target / IN_FOLDER) is None:
        what = f"{folder} is a folder that no export made, and would be replaced"
        raise UsageError(what, "give another name, or remove it first")


def _network_of(model: Model, ending: str, weights: Weights, store: Any) -> FrozenExtractor:
    """The one network whose vectors the model takes, checked; a ModelError where there is something else."""
    families = [(model.described.get(part) or {}).get("family") for part in model.parts]
    extractors: list[Any] = []
    if len(families) == 1 and families[0] not in (None, "imported"):
        kept = Store(store)
        extractors = model_extractors(model, kept, weights)
        network = extractors[0]
        frozen = isinstance(network, FrozenExtractor) and _is_graph(network)
        if frozen and not network.preprocess and not _region(network):
            check_golden(extractors, [model.described[part] for part in model.parts], kept)
            return network
    if len(families) > 1:
        what = "several features at once"
    elif any(isinstance(one, FrozenExtractor) and not _is_graph(one) for one in extractors):
        what = "a network in int8 or of an ONNX file"
    elif any(getattr(one, "preprocess", ()) or _region(one) for one in extractors):
        what = "photos that are changed first (--preprocess, region)"
    else:
        what = "features that no network here makes of photos"
    made = f"and make vectors with `{HOW_TO_MAKE}`" if _makes_vectors(model) else "for vectors made elsewhere"
    raise ModelError(
        f"{ending} cannot express {what}: {model.features}",
        f"it can express one network, without --preprocess or region, and a head of {PLAIN_HEADS}; here, export the "
        f"head alone (-o HEAD.npz), {made}",
    )


def _makes_vectors(model: Model) -> bool:
    """Whether `HOW_TO_MAKE` can make the vectors: not where they were imported."""
    families = [(model.described.get(part) or {}).get("family") for part in model.parts]
    return all(family not in (None, "imported") for family in families)


def _is_graph(network: FrozenExtractor) -> bool:
    """Whether its vectors are those of a graph that TensorFlow can write in another format."""
    return "tensorflow" in network.engines and network.precision != "int8"


def _region(extractor: Any) -> str | None:
    return getattr(extractor, "region", None)


def _export_network(
    model: Model, head: PlainHead, extractor: FrozenExtractor, wanted: Wanted
) -> dict[str, Any]:
    ending, precision, result = wanted.ending, wanted.precision, wanted.result
    written = NETWORKS[ending]
    photos = check_photos(wanted.check)
    side = extractor.side
    entering = "(RGB - 127.5) / 127.5" if written.scaled else "RGB, 0 to 255"
    scaling = f"{extractor.network_settings()['scaling']} (inside)"
    if written.scaled:
        scaling = f"{entering} before it enters; inside, to what the network takes"
    n_photos = 1 if ending == ".tflite" else None
    about = _about(model, ending, precision) | {
        "input": {
            "name": ENTRY, "shape": [n_photos, side, side, 3], "type": "float32", "pixels": entering,
        },
        "output": result if ending == ".pb" else "probabilities",
        "size": side,
        "resize": extractor.settings()["resize"],
        "scaling": scaling,
    }  # fmt: skip
    graph = exported_graph(
        extractor.frozen_graph(), extractor, head, len(model.labels), scaled=written.scaled, result=result
    )
    some = photos[:: -(-len(photos) // MEASURED)] if precision == "int8" else []
    measured = [extractor.prepare(photo).astype(np.float32) for _, photo in read_photos(some)] if some else []
    point = model.operating_point
    decide = None if point is None else (model.labels.index(point.positive), point.threshold)
    job = Job(graph, side, about, precision, measured, bool(extractor.parity), model.labels, decide)
    # The network of a model in bfloat16 is written in float32.
    lower = extractor.precision == "bfloat16" and precision == "float32"
    limits = LIMITS["float16" if lower else precision]
    with _workplace(wanted) as folder:
        made = Path(folder, wanted.place.name)
        run = written_and_loaded(job, made, ending)
        run_jpeg = load_jpeg(made) if ending == FOLDER else None
        found, rounding = compare(model, extractor, run, run_jpeg, photos)
        golden = extractor.prepare(Photo.of(check_photos(None)[0][1]()))[None].astype(np.float32)
        about |= {
            "operations": written.count(made),
            "ms_per_photo": round(milliseconds(run, golden), 3),
        }
        return _placed(wanted, about, made, found, _named(wanted.check), limits.broken_by(found, rounding))


def written_and_loaded(job: Job, made: Path, ending: str) -> Runner:
    """Write a file, and what runs it; a ModelError where the libraries of the format cannot."""
    try:
        NETWORKS[ending].write(job, made)
        return NETWORKS[ending].load(made)
    except MemoryError:
        raise
    except OSError as error:
        raise OSError(error.errno, error.strerror, error.filename or os.fspath(made)) from error
    except Exception as error:  # each library has kinds of its own for what it cannot convert
        for number in FULL:  # some say in words alone that there is no place
            if os.strerror(number) in str(error):
                raise OSError(number, os.strerror(number), os.fspath(made)) from error
        reason = message_of(error)
        hint = "try another format, or export the head alone (-o HEAD.npz)"
        raise ModelError(f"{ending} cannot express this network: {reason}", hint) from error


def _vectors_to_check(model: Model, check: Any, weights: Weights, store: Any) -> tuple[np.ndarray, str]:
    """Vectors of photos, of the golden image, or numbers of no meaning; and what they are."""
    if check is not None:
        table = model.check_table(Predictor(model, weights=weights, store=store).vectors(check))
        return select_vectors(table, model.features), _named(check)
    golden = [(model.described.get(part) or {}).get("golden") for part in model.parts]
    if all(golden):
        return np.concatenate(golden)[None].astype(np.float32), _named(None)  # type: ignore[arg-type]
    X = np.random.default_rng(0).exponential(size=(16, sum(model.widths))).astype(np.float32)
    return X, "16 made-up vectors"


def _export_head(model: Model, head: PlainHead, wanted: Wanted, X: np.ndarray, source: str) -> dict[str, Any]:
    """The head alone, compared on the vectors `X`."""
    about = _about(model, HEAD, "float32") | {
        "input": {"vectors": model.features, "widths": list(map(int, model.widths))},
        "output": "probabilities",
        "scaling": "inside: root, mean, scale",
        "vectors": HOW_TO_MAKE
        if _makes_vectors(model)
        else "made as those of the training, which were imported",
    }
    with _workplace(wanted) as folder:
        made = Path(folder, wanted.place.name)
        write_head(made, model, head, about)
        again, agreement = read_head(made), Agreement()
        agreement.add(model, again.predict_proba(X, len(model.labels)), model.predict_proba(X))
        run = partial(again.predict_proba, n_labels=len(model.labels))
        about |= {"operations": None, "ms_per_photo": round(milliseconds(run, X[:1]), 3)}
        found = {"pixels": agreement, "photos": Agreement()}
        return _placed(wanted, about, made, found, source, LIMITS["float32"].broken_by(found))


def _about(model: Model, ending: str, precision: str) -> dict[str, Any]:
    """What an export says of itself, also inside the file where the format can."""
    point = model.operating_point
    training = model.training
    described = [model.described.get(part) or {} for part in model.parts]
    return {
        "export": VERSION,
        "format": KINDS[ending],
        "precision": precision,
        "labels": model.labels,
        "operating_point": None if point is None else point.to_dict(),
        "features": model.features,
        "fingerprints": [one.get("fingerprint") for one in described],
        "head": training.get("head"),
        "data_digest": training.get("data_digest"),
        "version": importlib.metadata.version("bottlehead"),
        **({} if model.answers is None else {"answers": model.answers.to_dict()}),
    }


def _workplace(wanted: Wanted) -> tempfile.TemporaryDirectory:
    """Where an export is written first: of a folder, beside its place, so that it only has to be renamed."""
    if wanted.ending == FOLDER:
        parent = Path(os.path.realpath(wanted.place)).parent
        return tempfile.TemporaryDirectory(prefix=PARTIAL, dir=parent)
    return tempfile.TemporaryDirectory()


def _placed(
    wanted: Wanted,
    about: dict[str, Any],
    made: Path,
    found: Mapping[str, Agreement],
    source: str,
    broken: str | None,
) -> dict[str, Any]:
    """Put what was written where it belongs, with its JSON; `broken` says how it disagrees with the model."""
    if broken and not wanted.force:
        hint = (
            "--force writes it all the same, and its JSON tells; photos to compare on are given with --check"
        )
        raise ModelError(f"{wanted.place} is not written: {broken}", hint)
    digests, n_bytes = _digests(made)
    about |= {
        "file": made.name,
        "bytes": n_bytes,
        "sha256": digests,
        "check": {
            "source": source,
            **{name: agreement.to_dict() for name, agreement in found.items()},
        },
        "forced": broken,
    }
    text = json.dumps(about, indent=1, ensure_ascii=False) + "\n"
    if wanted.ending == FOLDER:
        Path(made, IN_FOLDER).write_text(text, encoding="utf-8")
        _swap(made, Path(os.path.realpath(wanted.place)))
        return about
    sidecar = made.with_name(f"{made.name}.json")
    sidecar.write_text(text, encoding="utf-8")
    with ExitStack() as all_or_none:  # on a full disk, no file is left or replaced without the others
        for target, kind in reversed(_outputs(wanted.place, wanted.ending).items()):
            whole = all_or_none.enter_context(whole_file(target, kind))
            whole.write_bytes(made.with_name(target.name).read_bytes())
    return about


def _named(check: Any) -> str:
    if check is None:
        return "golden image"
    return os.fspath(check) if isinstance(check, str | os.PathLike) else "photos"


def _digests(made: Path) -> tuple[dict[str, str], int]:
    """The SHA-256 of each file by name, and their bytes together."""
    files = sorted(one for one in made.parent.rglob("*") if one.is_file())
    folder = made if made.is_dir() else made.parent
    digests = {
        one.relative_to(folder).as_posix(): hashlib.sha256(one.read_bytes()).hexdigest() for one in files
    }
    return digests, sum(one.stat().st_size for one in files)


def _swap(made: Path, target: Path) -> None:
    """Put a folder in the place of another one, which stays if that fails."""
    before = target.with_name(f"{PARTIAL}{secrets.token_hex(8)}") if target.exists() else None
    if before is not None:
        target.rename(before)
    try:
        made.rename(target)
    except BaseException:
        if before is not None:
            before.rename(target)
        raise
    sync_folder(target.parent)
    if before is not None:
        shutil.rmtree(before)
