"""A network that was just frozen is tried before its vectors are believed."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from featurize.errors import WeightsError
from featurize.extractors.engines import Function
from featurize.extractors.finite import NOT_FINITE
from featurize.pixels import Photo, golden_image

# Relative, by precision: a library adds up batches of another size in another order, which costs up to 1e-5 in float32.
# A network that looks at the whole batch (batch norm as in training) is far off.
TOLERANCE = {"float32": 1e-4, "bfloat16": 1e-2}


def run(name: str, function: Function, pixels: np.ndarray) -> list[np.ndarray]:
    """What `function` makes of `pixels`; `name` is of the features, for people.

    Raises
    ------
    WeightsError
        If the network fails.
    """
    try:
        return function(pixels)
    except Exception as error:
        # TensorFlow and OpenVINO have kinds of their own for each way in which a network can fail.
        raise WeightsError(
            f"{name} cannot be run: {' '.join(str(error).split())[:200]}",
            "the network must take any number of photos at once, whatever they show; read another tensor of it, or "
            "give another one",
        ) from error


def try_out(team: Sequence[Any], function: Function) -> None:
    """Refuse a network that cannot be run, gives no finite numbers, or whose vectors depend on the batch.

    The synthetic image is run alone, and between two others.

    Parameters
    ----------
    team : sequence of FrozenExtractor
        One for each output of `function`.
    function : Function

    Raises
    ------
    WeightsError
    """
    first = team[0]
    golden = golden_image()
    photos = [Photo.from_array(rgb) for rgb in (255 - golden, golden, golden // 2)]
    prepared = [first.prepare(photo) for photo in photos]
    alone = run(first.name, function, first.gather(prepared[1:2]))
    beside = run(first.name, function, first.gather(prepared))
    for one, single, several in zip(team, alone, beside, strict=True):
        _check(one.name, one.precision, single, several, len(photos))


def _check(name: str, precision: str, single: np.ndarray, several: np.ndarray, n_photos: int) -> None:
    for matrix, count in ((single, 1), (several, n_photos)):
        if len(matrix) != count:
            raise WeightsError(
                f"{name} gives {len(matrix)} vectors for a batch of {count}",
                "read a tensor that has one row per photo",
            )
    if not (np.isfinite(single).all() and np.isfinite(several[1]).all()):
        raise WeightsError(
            f"{name} gives {NOT_FINITE} for the test image",
            "the weights are damaged, or pixels enter the network with another mean and std than it was made for",
        )
    length = np.linalg.norm(single.astype(np.float64))
    distance = np.linalg.norm(several[1].astype(np.float64) - single[0])
    if distance > TOLERANCE[precision] * length:
        share = f"{distance / length:.2g} of its length" if length else f"{distance:.2g}"
        raise WeightsError(
            f"{name} mixes the photos of a batch: the vector of the test image changes by {share} when others are "
            "beside it",
            "a vector must depend on its photo alone: freeze the network for inference (batch norm with its stored "
            "mean and variance), or read an earlier tensor",
        )
