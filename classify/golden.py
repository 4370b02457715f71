"""Whether an extractor still makes the vectors of the training, on this machine and with these libraries.

A fingerprint says what an extractor means to do. That it really does so can only be seen in a vector: every table
and model keeps the vector of one small synthetic image, which the package can make again anywhere. An image
library that resizes in another way, a network whose input is scaled otherwise, weights that were mixed up: they
all change it, and without it they show as a model that is a little worse than it was.
"""

import hashlib
import importlib.metadata
import json
import platform
from collections.abc import Mapping
from typing import Any

import numpy as np

from featurize.drift import relative_drift
from featurize.errors import ModelError
from featurize.extractors.base import Extractor
from featurize.files import whole_file
from featurize.pixels import Photo, golden_image
from featurize.store import Store
from featurize.terminal import log

# Relative: ‖here − training‖ / ‖training‖. Room for sums in another order, which cost 1e-6, and far from any fault:
# of MobileNet 0.25 128 a bicubic filter moves the vector by 0.08, nearest pixels by 0.27, pixels of 0 to 1 by 0.25.
TOLERANCE = 1e-3
# In bfloat16 each number has three digits, and processors round in their own ways.
TOLERANCE_BFLOAT16 = 1e-2


def check_golden(extractor: Extractor, entry: Mapping[str, Any], store: Store) -> None:
    """Refuse an extractor that does not reproduce the vector of the synthetic image.

    Computed at the first use on a machine; a note beside the store remembers the outcome until the libraries,
    this package or the model's vector are others.

    Parameters
    ----------
    extractor : Extractor
    entry : mapping
        How the model describes the features: ``model.described[name]``. Without a golden vector (imported
        features) nothing is checked.
    store : Store

    Raises
    ------
    ModelError
        With the drift ‖here − training‖ / ‖training‖, and the versions that differ.
    """
    golden = np.array(entry.get("golden") or [], dtype=np.float32)
    if not len(golden):
        return
    note = store.beside(f"golden/{_circumstances(extractor, golden)}")
    if note is not None and note.exists():
        return
    now = extractor.vectors([extractor.prepare(Photo.from_array(golden_image()))])[0]
    drift = relative_drift(now, golden) if now.shape == golden.shape else float("inf")
    tolerance = TOLERANCE_BFLOAT16 if entry["description"].get("precision") == "bfloat16" else TOLERANCE
    if drift > tolerance:
        raise ModelError(
            f"{extractor.name} does not make the vectors of the training here: that of the test image is "
            f"{_percent(drift)} off, and {_percent(tolerance)} is allowed{_other_versions(extractor, entry)}",
            "use the versions and weights of the training (`classify show MODEL` lists them), or extract and "
            "train again here",
        )
    log.debug("%s reproduces the vector of the training to %.1e", extractor.name, drift)
    if note is not None:
        try:
            with whole_file(note) as partial:
                partial.write_text(f"{drift}\n")
        except OSError as error:
            log.debug("the check of %s was not noted: %s", extractor.name, error)


def _circumstances(extractor: Extractor, golden: np.ndarray) -> str:
    """A digest of all that decides the outcome: change any of it, and the check is made again."""
    versions = {name: importlib.metadata.version(name) for name in ("bottlehead", *extractor.libraries())}
    about = [extractor.fingerprint(), golden.tobytes().hex(), versions, platform.node(), platform.machine()]
    return hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()


def _other_versions(extractor: Extractor, entry: Mapping[str, Any]) -> str:
    trained = entry.get("versions") or {}
    here = {name: importlib.metadata.version(name) for name in extractor.libraries()}
    other = [
        f"{name} was {trained.get(name)}, is {here[name]}" for name in here if trained.get(name) != here[name]
    ]
    return f" ({', '.join(other)})" if other else " (the versions of the libraries are the same)"


def _percent(share: float) -> str:
    return f"{100 * share:.{2 if share < 0.1 else 0}f} %" if np.isfinite(share) else "entirely"
