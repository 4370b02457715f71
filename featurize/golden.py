"""The vectors of one small synthetic image, by which anyone can see later that an extractor is still the same."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from featurize.errors import StoreError, WeightsError
from featurize.extractors.base import GOLDEN_SHA256, Extractor
from featurize.extractors.batches import find_teams
from featurize.extractors.finite import NOT_FINITE, finite_rows
from featurize.photos.decode import ImageRejected
from featurize.photos.photo import Photo, golden_image
from featurize.section import Section
from featurize.store.shard import image_keys
from featurize.terminal import log


def golden_vectors(extractors: Sequence[Extractor], sections: Sequence[Section]) -> list[np.ndarray]:
    """The vector of the synthetic image of each extractor, float32 of shape (width,).

    From the store like any other image's; those of one network that are missing there are computed in one run.

    Raises
    ------
    WeightsError
        If an extractor refuses it, or gives numbers that are not finite: it would do so for photos too.
    """
    keys = image_keys([GOLDEN_SHA256])
    vectors = [np.empty((1, extractor.width), dtype=np.float32) for extractor in extractors]
    stored = [section.load(keys, vector)[0] for section, vector in zip(sections, vectors, strict=True)]
    for team in find_teams(extractors):
        missing = [number for number in team if not stored[number]]
        if not missing:
            continue
        members = [extractors[number] for number in missing]
        made = members[0].vectors_of(members, golden_batch(members[0]))
        for number, vector in zip(missing, made, strict=True):
            vectors[number], finite = finite_rows(vector)
            if not finite.all():
                raise WeightsError(
                    f"{extractors[number].name} gives {NOT_FINITE} for the test image",
                    "no vector of it can be trusted; mend the extractor, or leave it out",
                )
            try:
                sections[number].write(keys, vectors[number])
            except StoreError as error:
                log.debug("the golden vector was not stored: %s", error)
    return [vector[0] for vector in vectors]


def golden_batch(extractor: Extractor) -> Any:
    """The synthetic image alone, as `vectors_of` of `extractor` and its team takes it.

    Raises
    ------
    WeightsError
        If the extractor, or a step in front of it, refuses it.
    """
    try:
        return extractor.gather([extractor.prepare(Photo.from_array(golden_image()))])
    except ImageRejected as rejected:
        raise WeightsError(
            f"{extractor.name} makes no vector of the test image: {rejected}",
            "it must make one of any small photo; mend the extractor or its steps, or leave it out",
        ) from rejected
