"""The extractors that made the training vectors of a model: found again, and refused where they make others here."""

import hashlib
import importlib.metadata
import json
import os
import platform
from collections.abc import Iterable, Mapping, Sequence
from importlib.util import find_spec
from typing import Any

import numpy as np

from classify.model.model import Model
from featurize.errors import ModelError, UsageError, WeightsError
from featurize.extraction.run import golden_vectors
from featurize.extractors.base import GOLDEN_SHA256, Extractor, attach_checked, relative_drift
from featurize.store.store import Store
from featurize.terminal import log

Place = str | os.PathLike | None
Weights = Place | Mapping[str, str]  # a file for all networks, or by features; None: as in training

QUICK = "openvino"  # the engine that starts without TensorFlow

# Relative: ‖here − training‖ / ‖training‖. Room for another processor, which costs 1e-5, and far from any fault:
# of MobileNet 0.25 128 a bicubic filter moves the vector by 0.08, nearest pixels by 0.27, pixels of 0 to 1 by 0.25.
TOLERANCE = 1e-3
# By precision. bfloat16: each number has three digits, and processors round in their own ways. int8: so do they, and a
# network that was made again has other steps; one of other photos moves the vector by more.
TOLERANCES = {"bfloat16": 1e-2, "int8": 5e-2}


def ready_extractors(
    model: Model, store: Store, weights: Weights, given: Sequence[Extractor] = (), engine: str | None = None
) -> list[Extractor]:
    """The extractors that made the training vectors, checked: run by OpenVINO, where nobody named an engine.

    Arguments as of `model_extractors`.
    """
    entries = [model.described.get(part) or {} for part in model.parts]
    for name in [engine] if engine or not _runs_elsewhere(entries) else [QUICK, None]:
        extractors = model_extractors(model, store, weights, given, name)
        try:
            check_golden(extractors, entries, store)
            break
        except (ModelError, UsageError, WeightsError) as error:
            if name == engine:
                raise
            log.info("the engine of the training is used, not %s: %s", name, error)
    return extractors


def model_extractors(
    model: Model, store: Store, weights: Weights, given: Sequence[Extractor] = (), engine: str | None = None
) -> list[Extractor]:
    """The extractors that made the training vectors, checked before they work; `store` keeps networks.

    Those `given` are found by what they make, else by their name. `engine` runs their networks instead of that of the
    training; whether it makes the same vectors is not known here.
    """
    from featurize.registry import extractor_from_metadata

    extractors = []
    for part in model.parts:
        entry = model.described.get(part)
        if entry is None or "family" not in entry:
            hint = "predict on a table that holds them, or train on a table that `featurize extract` made"
            raise ModelError(f"the model does not know how the features {part} are made from photos", hint)
        file = weights.get(part) if isinstance(weights, Mapping) else weights
        alike = [one for one in given if one.fingerprint() == entry.get("fingerprint")]
        alike = alike or [one for one in given if one.name in (part, entry.get("spec"))]
        extractor = alike[0] if alike else extractor_from_metadata(entry, file)
        attach_checked(extractor, store)  # a kept network tells its width without being built again
        model.check_extractor(part, extractor)
        trained = extractor.get_params(deep=False)
        if (
            engine is not None
            and trained.get("engine", engine) != engine
            and trained.get("precision") != "int8"
        ):
            other = type(extractor)(**{**trained, "engine": engine})
            other.decode_version = extractor.decode_version
            other.known_as, other.in_place_of = extractor.known_as, extractor
            for name in ("_wanted_sha256", "recorded_blocks"):
                setattr(other, name, getattr(extractor, name, None))
            attach_checked(other, store)
            extractor = other
        extractors.append(extractor)
    return extractors


def _runs_elsewhere(entries: Iterable[Mapping[str, Any]]) -> bool:
    """Whether TensorFlow made the vectors in float32, and OpenVINO, which is installed, would make them sooner."""
    made = [entry.get("params") or {} for entry in entries]
    here = any(one.get("engine") == "tensorflow" and one.get("precision") == "float32" for one in made)
    return here and find_spec(QUICK) is not None


def check_golden(extractors: Sequence[Extractor], entries: Sequence[Mapping[str, Any]], store: Store) -> None:
    """Refuse, with the drift, extractors that do not make the vector of the synthetic image that the model knows.

    A fingerprint says what an extractor means to do; only a vector shows that an image library resizes otherwise, or
    that weights were mixed up. `entries` are ``model.described[name]``; imported features have no golden vector.
    """
    known = [(one, entry) for one, entry in zip(extractors, entries, strict=True) if entry.get("golden")]
    checked = [one for one, _ in known]
    sections = [store.section_of(one) for one in checked]
    # In the store they are kept for the libraries of today and this machine.
    here = golden_vectors(checked, sections, [_circumstances(one) for one in checked])
    for (extractor, entry), vector in zip(known, here, strict=True):
        refuse_drift(extractor, entry, vector)


def _circumstances(extractor: Extractor) -> str:
    """A digest of what decides the vector of the synthetic image, beside the fingerprint."""
    versions = {name: importlib.metadata.version(name) for name in ("bottlehead", *extractor.libraries())}
    about = [GOLDEN_SHA256, versions, platform.node(), platform.machine()]
    return hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()


def refuse_drift(extractor: Extractor, entry: Mapping[str, Any], vector: np.ndarray) -> None:
    """ModelError where its vector of the synthetic image is another than that of the training."""
    golden = np.array(entry["golden"], dtype=np.float32)
    drift = relative_drift(vector, golden) if vector.shape == golden.shape else float("inf")
    tolerance = TOLERANCES.get(entry["description"].get("precision"), TOLERANCE)
    if drift <= tolerance:
        log.debug("%s reproduces the vector of the training to %.1e", extractor.name, drift)
        return
    trained = entry.get("versions") or {}
    here = {name: importlib.metadata.version(name) for name in extractor.libraries()}
    other = [
        f"{name} was {trained.get(name)}, is {here[name]}" for name in here if trained.get(name) != here[name]
    ]
    raise ModelError(
        f"{extractor.name} does not make the vectors of the training here: that of the test image is "
        f"{_percent(drift)} off, and {_percent(tolerance)} is allowed "
        f"({', '.join(other) or 'the versions of the libraries are the same'})",
        "use the versions and weights of the training (`classify show MODEL` lists them), or extract and "
        "train again here",
    )


def _percent(share: float) -> str:
    return f"{100 * share:.{2 if share < 0.1 else 0}f} %" if np.isfinite(share) else "entirely"
