"""The registry: from a features spec to the extractor that makes them. A new family is one line here."""

import json
import os
import re
import zipfile
import zlib
from collections.abc import Callable, Mapping, Sequence
from difflib import get_close_matches
from functools import partial
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from featurize.errors import ModelError, UsageError, failing_of_others
from featurize.extractors.base import Extractor
from featurize.extractors.batches import MEND
from featurize.extractors.color import Color
from featurize.extractors.function import FunctionExtractor, extractor_of_function
from featurize.extractors.glcm import GLCM
from featurize.extractors.lbp import LBP
from featurize.extractors.nuisance import Nuisance
from featurize.extractors.phash import PerceptualHash
from featurize.extractors.shape import Shape
from featurize.extractors.texture import Texture
from featurize.files import is_readable
from featurize.imported import is_imported
from featurize.networks.catalogue import NETWORKS, find_network
from featurize.networks.graph_extractor import FrozenGraph
from featurize.networks.keras_file import KerasFile
from featurize.networks.keras_model import KerasModel, is_keras_model
from featurize.networks.keras_network import Backbone, InceptionV3
from featurize.networks.network_extractor import FrozenExtractor
from featurize.networks.onnx_network import OnnxNetwork
from featurize.photos.decode import DECODE_VERSION
from featurize.photos.photo import decode_version_of
from featurize.remote import Location, path_at, shown
from featurize.spec import COMMAS, FeaturesSpec, perhaps
from featurize.tableformat import read_metadata

# A spec, an extractor, a Keras model or a function.
ExtractorLike = str | Extractor | Callable[..., Any]
# What makes extractors of a family, and the argument that the text after ":" in a spec sets.
Family = tuple[Callable[..., Extractor], str | None]
FAMILIES: dict[str, Family] = {
    "inception_v3": (InceptionV3, "layer"),
    "glcm": (GLCM, "properties"),
    "lbp": (LBP, None),
    "color": (Color, None),
    "shape": (Shape, None),
    "nuisance": (Nuisance, None),
    "texture": (Texture, "channels"),
    "FILE.pb": (FrozenGraph, "output"),
    "FILE.onnx": (OnnxNetwork, "output"),
    "FILE.keras": (KerasFile, "output"),
}
FILES = {".pb": FrozenGraph, ".onnx": OnnxNetwork, ".keras": KerasFile}
WITH_REGION = (
    "networks, FILE.pb and the like, glcm, lbp, color and texture have one; a function can leave pixels out"
)
# FILE.pb or FILE.pb:TENSOR; a tensor has a colon of its own. And other files with networks.
GRAPH_SPEC = re.compile(r"(.+?\.pb)(?::(.*))?", re.IGNORECASE)
FILE_SPEC = re.compile(r"(.+?(\.pb|\.onnx|\.keras))(?::(.*))?", re.IGNORECASE)
# Other packages add families here: an Extractor class, a function of one RGB array, or a transformer.
ENTRY_POINTS = "featurize.extractors"


def make_extractor(spec: ExtractorLike, *, decode_version: int | None = None, **options: Any) -> Extractor:
    """The extractor for a features spec such as ``"inception_v3:mixed8"`` or ``"glcm"``.

    Parameters
    ----------
    spec : str, Extractor, Keras model or function
        ``family[:option][,param=value…]`` with arguments of the extractor's class, or ``FILE.pb[:TENSOR]`` (also
        ``.onnx``, ``.keras``) likewise; it is the extractor's name as it is typed. An extractor is returned as it is.
        A Keras model gives its output (`KerasModel`), a function of one RGB array its numbers (`FunctionExtractor`).
    decode_version : int, optional
        How pixels are made of files; by default in the newest way. Another one than the newest is for vectors that
        must go with those of an earlier program; `extractors_like` takes it from a table or a model.
    **options
        Arguments of the extractor's class, such as ``weights``; those that it does not have are left out, and so are
        those that the spec sets.

    Raises
    ------
    UsageError
        If the family is unknown, or has no such option or parameter; the message lists what there is.

    Examples
    --------
    >>> make_extractor("glcm").width, make_extractor("glcm:haralick,distances=1/2,average=no").width
    (5, 176)
    """
    if isinstance(spec, Extractor):
        if isinstance(spec, FunctionExtractor):  # before anything is said of its name
            spec.check_arguments()
        return spec
    if is_keras_model(spec):
        return KerasModel(spec)
    if callable(spec) and not isinstance(spec, type):
        return extractor_of_function(spec)
    if not isinstance(spec, str):
        what = f"{spec!r:.100} is no extractor"
        raise UsageError(
            what, "give a features spec, an extractor, a Keras model, or a function of one RGB array"
        )
    file = FILE_SPEC.fullmatch(spec)
    read = FeaturesSpec.parse(spec, file[1] if file else "")
    found: Family | None = (
        (partial(FILES[file[2].lower()], read.family), "output") if file else _find_family(read.family)
    )
    if found is None:
        close = get_close_matches(read.family, dict.fromkeys([*FAMILIES, *NETWORKS]), n=3)
        families = ", ".join(dict.fromkeys([*FAMILIES, *sorted(_entry_points())]))
        hint = f"the families are {families}; `featurize backbones` lists further networks, such as efficientnet_lite0"
        name, comma, given = spec.partition(",")
        if comma:
            hint = f"write {name}:{given}, or {COMMAS}" if "=" in given and ":" not in name else COMMAS
        raise UsageError(f"there are no features named {spec}{perhaps(close)}", hint)
    make, argument = found
    with failing_of_others(f"the features {spec} cannot be used", MEND):
        extractor = make()
        known = extractor.get_params()
        if "region" in read.texts and "region" not in known:
            raise UsageError(f"the features spec {spec!r} has no parameter region", WITH_REGION)
        given = read.arguments(type(extractor), argument, extractor.not_in_specs)
        chosen = {name: value for name, value in options.items() if name in known}
        if decode_version is not None:
            extractor.decode_version = decode_version
        extractor.set_params(**{**chosen, **given})
        if not file and spec != extractor.name:
            extractor.known_as = spec
        return extractor


def extractor_from_metadata(entry: Mapping[str, Any], weights: str | os.PathLike | None = None) -> Extractor:
    """The extractor that made the features which ``table.metadata["features"][name]`` or a model describes.

    `weights` say where the network's weights are now; by default where they were, else wherever ``"auto"`` finds
    the file with the same digest. ModelError if it cannot be made here, WeightsError if the weights are not found.
    """
    name = str(entry.get("family"))
    if is_imported(entry):
        spec = entry.get("spec")
        raise ModelError(
            f"the features {spec} cannot be computed from photos here: they are imported vectors, and how those are "
            "made is not known",
            "make the vectors of the new photos as those were made, import them under the same name "
            f"(`featurize import-vectors … --name {spec}`, or FeatureTable.from_frame), and give that table",
        )
    # Perceptual hashes are no features: they are kept in stores as if they were.
    family = (PerceptualHash, None) if name == PerceptualHash.family else _find_family(name)
    if family is None:
        raise ModelError(
            f"the features {entry.get('spec')} cannot be computed from photos here (family {entry.get('family')})",
            "give the extractor itself (extractors=, in Python), install the package that registers it (entry point "
            f"{ENTRY_POINTS}), or use a table that holds the vectors",
        )
    params = dict(entry["params"])
    record = entry.get("weights")
    if weights is not None and "weights" in params:
        params["weights"] = os.fspath(weights)
    elif "file" in params:
        params["file"] = os.fspath(weights or params["file"])
    elif record and record.get("file"):
        params["weights"] = record["file"] if os.path.isfile(record["file"]) else "auto"
    elif record:
        params["weights"] = f"random:{record.get('seed')}"
    try:
        with failing_of_others(f"the features {entry.get('spec')} cannot be used", MEND, (TypeError,)):
            extractor = family[0](**params)
    except TypeError as error:  # somebody edited them
        raise ModelError(
            f"the features {entry.get('spec')} cannot be made as they are described: {error}",
            "extract them again, and train again on them",
        ) from error
    if record and record.get("sha256"):
        extractor._wanted_sha256 = record["sha256"]
    if isinstance(extractor, FrozenExtractor) and isinstance(entry.get("width"), int):
        extractor.recorded_blocks = list(entry.get("blocks") or [entry["width"]])
    if quantised := (entry.get("description") or {}).get("quantised"):
        extractor._wanted_quantised = quantised
    if entry["spec"] != extractor.name:  # as it was typed, or as a file was called then
        extractor.known_as = entry["spec"]
    extractor.decode_version = decode_version_of(entry)
    if not 1 <= extractor.decode_version <= DECODE_VERSION:
        raise ModelError(
            f"the features {entry.get('spec')} were made of photos decoded by version {extractor.decode_version}; "
            f"versions 1 to {DECODE_VERSION} are known here",
            "install the version of bottlehead that made them, or a newer one",
        )
    return extractor


LARGEST_MODEL_JSON = 64 << 20  # bytes, as for `classify`
# What readers of a file that is no model raise.
UNREADABLE = OSError, ValueError, KeyError, TypeError, AttributeError, RuntimeError, EOFError


def recorded_features(path: Location) -> dict[str, dict[str, Any]]:
    """How the features of a table, or those that a model was trained on, were made, by their names.

    TableError or ModelError if it is neither.
    """
    place = path_at(path)
    if place.suffix.lower() in (".parquet", ".npz"):
        return read_metadata(path)["features"]
    hint = "give a table that `featurize extract` made, or a model that `classify train` made of one"
    if not is_readable(path, ModelError):
        raise ModelError(f"there is no table or model {shown(path)}", hint)
    try:
        with place.open("rb") as file, zipfile.ZipFile(file) as archive:
            found = json.loads(archive.open("model.json").read(LARGEST_MODEL_JSON))["described"]
            return {name: dict(entry) for name, entry in found.items()}
    except (*UNREADABLE, zipfile.BadZipFile, zlib.error):
        raise ModelError(f"{shown(path)} is no table and no model", hint) from None


def extractors_like(
    path: Location,
    features: Sequence[str] | None = None,
    weights: str | os.PathLike | Mapping[str, str] | None = None,
) -> list[Extractor]:
    """The extractors that made a table, or what a model was trained on, with their settings and decode version.

    So that further photos can be tested or predicted with it, whatever is the newest way to decode today.

    Parameters
    ----------
    path : path
        Of a table or a model.
    features : sequence of str, optional
        Names of those wanted; by default all.
    weights : path, or mapping of features to path, optional
        Where the networks' weights are now; by default where they were, or the same file is found.

    Raises
    ------
    TableError, ModelError
        If it is neither, or its features cannot be made here from photos as they were made then.
    UsageError
        If it has no features of a wanted name.
    """
    recorded = recorded_features(path)
    unknown = [name for name in features or () if name not in recorded]
    if unknown or not recorded:
        has = ", ".join(recorded) or "no features that say how they were made"
        raise UsageError(
            f"{shown(path)} has {has}{f'; not {unknown[0]}' if unknown else ''}", "name some of these"
        )
    extractors = []
    for name in features or recorded:
        entry = recorded[name]
        file = weights.get(name) if isinstance(weights, Mapping) else weights
        extractor = extractor_from_metadata(entry, file)
        if extractor.fingerprint() != entry.get("fingerprint"):
            raise ModelError(
                f"the features {name} of {shown(path)} are computed in another way here",
                "extract them anew",
            )
        extractors.append(extractor)
    return extractors


def _find_family(name: str) -> Family | None:
    if name in FAMILIES:
        return FAMILIES[name]
    if name in NETWORKS or (name.endswith("_quantized") and name not in _entry_points()):
        return partial(Backbone, backbone=find_network(name).name), "layer"
    entry_point = _entry_points().get(name)
    return None if entry_point is None else (_registered(entry_point), None)


def _registered(point: EntryPoint) -> Callable[..., Extractor]:
    """What makes the extractors of another package's entry point; UsageError that names it if it is broken."""
    package = f" of {point.dist.name}" if point.dist else ""
    what = f"the features {point.name} (entry point {point.value}{package}) cannot be used"
    hint = "mend or remove that package, or leave these features out"
    with failing_of_others(what, hint):
        loaded = point.load()
        if isinstance(loaded, type) and issubclass(loaded, Extractor):
            loaded()
            return loaded
        # A class is a transformer's; its defaults are the settings.
        function = loaded() if isinstance(loaded, type) else loaded
    if not callable(function) and not hasattr(function, "transform"):
        given = f"it is a {type(function).__name__}, no function, transformer or class of extractors"
        raise UsageError(f"{what}: {given}", hint)
    return partial(FunctionExtractor, function, point.name)


def _entry_points() -> dict[str, EntryPoint]:
    """What other packages register, by name; the names of our own families and networks stay ours."""
    with failing_of_others("an installed package registers its entry points wrongly", "mend or remove it"):
        return {found.name: found for found in entry_points(group=ENTRY_POINTS)}
