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
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from featurize.drift import relative_drift
from featurize.errors import ModelError
from featurize.extractors.base import Extractor
from featurize.files import whole_file
from featurize.golden import golden_batch
from featurize.store import Store
from featurize.terminal import log

# Relative: ‖here − training‖ / ‖training‖. Room for another processor, which costs 1e-5, and far from any fault:
# of MobileNet 0.25 128 a bicubic filter moves the vector by 0.08, nearest pixels by 0.27, pixels of 0 to 1 by 0.25.
TOLERANCE = 1e-3
# In bfloat16 each number has three digits, and processors round in their own ways.
TOLERANCE_BFLOAT16 = 1e-2


def check_golden(extractors: Sequence[Extractor], entries: Sequence[Mapping[str, Any]], store: Store) -> None:
    """Refuse extractors of which one does not reproduce its vector of the synthetic image.

    Computed at the first use on a machine, and several layers of one network in one run, for which it is loaded
    once; a note beside the store remembers the outcome until the libraries, this package or the model's vector are
    others.

    Parameters
    ----------
    extractors : sequence of Extractor
    entries : sequence of mapping
        How the model describes the features of each: ``model.described[name]``. Without a golden vector
        (imported features) nothing is checked.
    store : Store

    Raises
    ------
    ModelError
        With the drift ‖here − training‖ / ‖training‖, and the versions that differ.
    """
    teams: dict[object, list[_Check]] = {}
    for number, (extractor, entry) in enumerate(zip(extractors, entries, strict=True)):
        team = extractor.team()
        teams.setdefault(number if team is None else team, []).append(_Check(extractor, entry, store))
    for checks in teams.values():
        if not all(check.passed() for check in checks):
            members = [check.extractor for check in checks]
            made = members[0].vectors_of(members, golden_batch(members[0]))
            for check, (now,) in zip(checks, made, strict=True):
                check.compare(now)


class _Check:
    """One extractor, the vector that it must make, and the note of whether it did."""

    def __init__(self, extractor: Extractor, entry: Mapping[str, Any], store: Store):
        self.extractor, self.entry = extractor, entry
        self.golden = np.array(entry.get("golden") or [], dtype=np.float32)
        known = len(self.golden) > 0
        self.note = store.beside(f"golden/{_circumstances(extractor, self.golden)}") if known else None

    def passed(self) -> bool:
        """Whether there is nothing to compare, or it has been compared before."""
        return not len(self.golden) or (self.note is not None and self.note.exists())

    def compare(self, now: np.ndarray) -> None:
        """Refuse the vector that was made here if it is not that of the training; else note that it is."""
        if self.passed():
            return
        extractor, golden = self.extractor, self.golden
        drift = relative_drift(now, golden) if now.shape == golden.shape else float("inf")
        bfloat16 = self.entry["description"].get("precision") == "bfloat16"
        tolerance = TOLERANCE_BFLOAT16 if bfloat16 else TOLERANCE
        if drift > tolerance:
            raise ModelError(
                f"{extractor.name} does not make the vectors of the training here: that of the test image is "
                f"{_percent(drift)} off, and {_percent(tolerance)} is allowed{_other_versions(extractor, self.entry)}",
                "use the versions and weights of the training (`classify show MODEL` lists them), or extract and "
                "train again here",
            )
        log.debug("%s reproduces the vector of the training to %.1e", extractor.name, drift)
        if self.note is not None:
            try:
                with whole_file(self.note) as partial:
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
