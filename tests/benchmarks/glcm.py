"""What texture costs beside the libraries that others use, on real photos of 299 by 299 pixels.

    python tests/benchmarks/glcm.py [--assets DIR] [--photos 40] [--repeats 7]

The 22 values (32 grey levels, 3 distances, 4 angles) against scikit-image's co-occurrence matrices alone, symmetric
and normed, of the same grey levels, and against mahotas' 13 features at the same levels and offsets. Both of those
start from grey levels that are ready, and so does the first line; the second starts from the photo in colour. Local
binary patterns of three radii against the same counts by scikit-image. Every ratio is the median over rounds in which
the sides alternate, in processor seconds of one thread.
"""

import argparse
import os
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import mahotas.features
import numpy as np
from figures import figure, parser, ratio, report
from PIL import Image
from skimage.feature import graycomatrix, local_binary_pattern

from featurize import GLCM, LBP
from featurize.extractors.glcm import FORMULAS, Pairs, co_occurrences, haralick_offset

SIZE, LEVELS, DISTANCES, ANGLES = 299, 32, (1, 2, 3), (0, 45, 90, 135)
OFFSETS = [haralick_offset(distance, angle) for distance in DISTANCES for angle in ANGLES]


def main(argv: list[str] | None = None) -> None:
    args = arguments(argv)
    photos = [
        np.asarray(Image.open(path).convert("RGB").resize((SIZE, SIZE)))
        for path in sorted((Path(args.assets) / "data" / "flowers").rglob("*.jpg"))[:: 750 // args.photos]
    ][: args.photos]
    greys = [np.asarray(Image.fromarray(photo).convert("L")) for photo in photos]
    quantised = [(grey.astype(np.uint16) * LEVELS // 256).astype(np.uint8) for grey in greys]
    texture, patterns = GLCM("haralick", levels=LEVELS, distances=DISTANCES), LBP()
    seconds = rounds(
        {
            "ours": (values, quantised),
            "photo": (lambda photo: texture.transform([photo]), photos),
            "scikit-image": (matrices, quantised),
            "mahotas": (thirteen, quantised),
            "patterns": (lambda photo: patterns.transform([photo]), photos),
            "patterns of scikit-image": (their_patterns, greys),
        },
        args.repeats,
    )
    rows = [
        figure("22 values / scikit-image's matrices", of(seconds, "ours", "scikit-image"), "", at_most=1.2),
        figure("  from the photo in colour", of(seconds, "photo", "scikit-image"), ""),
        figure("22 values from the photo / mahotas' 13", of(seconds, "photo", "mahotas"), "", at_most=1.0),
        figure("patterns / scikit-image's patterns", of(seconds, "patterns", "patterns of scikit-image"), ""),
    ]
    for name, found in seconds.items():
        rows.append(figure(f"{name}, per photo", 1e3 * statistics.median(found) / len(photos), "ms"))
    report("glcm", rows, args.json)


def arguments(argv: list[str] | None) -> argparse.Namespace:
    made = parser(__doc__)
    made.add_argument("--assets", default=os.environ.get("TEST_ASSETS"), help="default: TEST_ASSETS")
    made.add_argument("--photos", type=int, default=40)
    made.add_argument("--repeats", type=int, default=7)
    args = made.parse_args(argv)
    if not args.assets:
        made.error("photos are needed: give --assets, or set TEST_ASSETS")
    return args


def rounds(
    sides: Mapping[str, tuple[Callable, Sequence[np.ndarray]]], repeats: int
) -> dict[str, list[float]]:
    """Processor seconds of each side on all its images, in each round."""
    found: dict[str, list[float]] = {name: [] for name in sides}
    for turn in range(repeats + 1):
        for name, (work, images) in sides.items():
            start = time.process_time()
            for image in images:
                work(image)
            if turn:  # the first imports and warms up
                found[name].append(time.process_time() - start)
    return found


def of(seconds: Mapping[str, list[float]], above: str, below: str) -> float:
    return ratio(seconds[above], seconds[below])


def values(quantised: np.ndarray) -> np.ndarray:
    pairs = Pairs(co_occurrences(quantised, LEVELS, OFFSETS))
    return np.stack([formula(pairs) for formula in FORMULAS.values()]).mean(axis=1)


def matrices(quantised: np.ndarray) -> np.ndarray:
    return graycomatrix(quantised, DISTANCES, np.deg2rad(ANGLES), LEVELS, symmetric=True, normed=True)


def thirteen(quantised: np.ndarray) -> list[Any]:
    return [mahotas.features.haralick(quantised, distance=distance) for distance in DISTANCES]


def their_patterns(grey: np.ndarray) -> list[np.ndarray]:
    return [local_binary_pattern(grey, 8 * radius, radius, method="uniform") for radius in (1, 2, 3)]


if __name__ == "__main__":
    main()
