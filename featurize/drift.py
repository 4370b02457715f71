"""Whether stored vectors would still come out the same: a sample of the photos is featurized again."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from featurize.errors import StoreError
from featurize.extractors.base import GOLDEN_SHA256, Extractor
from featurize.extractors.batches import Failed, Task, compute
from featurize.registry import extractor_from_metadata
from featurize.section import Section
from featurize.store.shard import contains, image_keys, key_contents
from featurize.store.store import Store
from featurize.upkeep import sample_size


@dataclass(frozen=True)
class Drift:
    """How far the vectors of a sample are from those stored.

    Attributes
    ----------
    n_stored, n_found, n_compared : int
        Stored images (undistorted ones); those whose photo is where it was when it was last read; the sample.
    largest : float
        The largest ‖now − stored‖ / ‖stored‖; 0 when every bit is the same.
    image : str
        The photo with the largest drift.
    """

    n_stored: int
    n_found: int
    n_compared: int
    largest: float
    image: str


def section_extractor(section: Section, store: Store) -> Extractor:
    """The extractor that made a section's vectors, made again from its ``extractor.json``.

    Raises
    ------
    BottleheadError
        If it cannot be made here, or would make other vectors.
    """
    about: Mapping[str, Any] = section.about
    if "params" not in about:
        raise StoreError(
            f"{about['name']} says too little about itself", "run `featurize extract` with it, then again"
        )
    extractor = extractor_from_metadata(about)
    extractor.attach(store)
    if extractor.fingerprint() != about["fingerprint"]:
        now = extractor.description()
        differing = [key for key in about["description"] if about["description"][key] != now.get(key)]
        raise StoreError(
            f"{about['name']} is computed in another way here ({', '.join(differing) or 'other settings'})",
            "its vectors are not shared with new ones; remove them with `featurize store prune`",
        )
    return extractor


def measure_drift(section: Section, store: Store, percent: float, *, seed: int = 0, jobs: int = 1) -> Drift:
    """Featurize `percent` of a section's images again and compare.

    The photos are those that the file index beside the store remembers, wherever they lie; a photo whose bytes
    are no longer those that were stored is left out.

    Raises
    ------
    BottleheadError
        If the extractor cannot be made here.
    """
    extractor = section_extractor(section, store)
    keys = section.keys()
    contents, variants = key_contents(keys)
    n_stored = sum(
        not variant and sha256 != GOLDEN_SHA256 for sha256, variant in zip(contents, variants, strict=True)
    )
    places: dict[str, str] = {}
    for path, sha256 in store.file_index().paths_of(
        lambda several: contains(keys, image_keys(several)).tolist()
    ):
        places.setdefault(sha256, path)
    found = [
        sha256 for sha256, variant in zip(contents, variants, strict=True) if not variant and sha256 in places
    ]
    order = np.random.default_rng(seed).permutation(len(found))
    sample = [found[i] for i in order[: sample_size(n_stored, percent)]]

    stored = np.empty((len(sample), extractor.width), dtype=np.float32)
    section.load(image_keys(sample), stored)
    row = {sha256: i for i, sha256 in enumerate(sample)}
    n_compared, largest, image = 0, 0.0, ""
    for batch in compute([Task(sha256, places[sha256], (0,)) for sha256 in sample], [extractor], jobs=jobs):
        if isinstance(batch, Failed):
            continue
        for sha256, now in zip(batch.sha256, batch.matrix, strict=True):
            n_compared += 1
            drift = relative_drift(now, stored[row[sha256]])
            if drift > largest or not image:
                largest, image = drift, places[sha256]
    return Drift(n_stored, len(found), n_compared, largest, image)


def relative_drift(now: np.ndarray, stored: np.ndarray) -> float:
    """‖now − stored‖ / ‖stored‖; 0 for equal vectors, also of zeros and NaN.

    >>> relative_drift(np.array([3.0, 5.0]), np.array([3.0, 4.0]))
    0.2
    """
    if np.array_equal(now, stored, equal_nan=True):
        return 0.0
    length = float(np.linalg.norm(stored.astype(np.float64)))
    distance = float(np.linalg.norm(now.astype(np.float64) - stored))
    drift = distance / length if length else np.inf
    return drift if drift == drift else np.inf
