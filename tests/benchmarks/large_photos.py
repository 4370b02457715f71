"""What scaled decoding saves on photos of 12 megapixels, in the whole run.

    python tests/benchmarks/large_photos.py [--assets DIR] [--photos 48] [--repeats 5] [--json FILE]

Flower photos are enlarged to 4,000 × 3,000 pixels and saved as JPEGs of quality 90. Two sides are `featurize.extract`
with an empty store and Inception v3 up to its average pool, loaded before the clock starts; one of them is made to
decode all pixels. The third is Keras' own idiom, see `featurize_flowers.py`. Ratios are medians over rounds of
neighbouring runs.
"""

import logging
import os
import tempfile
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
from featurize_flowers import enlarged, keras_side
from figures import alternating, figure, parser, ratio, report

from featurize import InceptionV3, extract
from featurize.networks.tensorflow_engine import has_bfloat16
from featurize.photos.photo import Photo
from featurize.terminal import log

TARGETS = {"float32": 1.8, "bfloat16": 2.1}


def main(argv: list[str] | None = None) -> None:
    made = parser(__doc__)
    made.add_argument("--assets", default=os.environ.get("TEST_ASSETS"), metavar="DIR")
    made.add_argument("--photos", type=int, default=48)
    made.add_argument("--repeats", type=int, default=5)
    args = made.parse_args(argv)
    if not args.assets:
        made.error("give --assets or set TEST_ASSETS")
    # The weights lack two convolutions behind mixed8, which changes no speed.
    log.setLevel(logging.ERROR)
    weights = str(next(Path(args.assets, "weights").glob("inception_v3*.h5")))
    sides: dict[Any, Callable[[], None]] = {}
    with tempfile.TemporaryDirectory() as folder:
        photos = enlarged(Path(args.assets, "data", "flowers"), Path(folder, "photos"), args.photos)
        sides["keras"] = keras_side(photos, weights)
        stores = (Path(folder, f"store{number}") for number in count())
        for precision in TARGETS if has_bfloat16() else ["float32"]:
            one = InceptionV3(weights, precision=precision)
            sides[precision, "scaled"] = side(photos, one, stores, full=False)
            sides[precision, "full"] = side(photos, one, stores, full=True)
        seconds = alternating(sides, args.repeats)
    rows = []
    for precision, target in TARGETS.items():
        if (precision, "full") in seconds:
            saved = ratio(seconds[precision, "full"], seconds[precision, "scaled"])
            rows.append(figure(f"{precision}: scaled against full decoding", saved, "×", at_least=target))
            against = ratio(seconds["keras"], seconds[precision, "scaled"])
            rows.append(figure(f"{precision}: scaled against Keras", against, "×"))
    for key, found in seconds.items():
        name = "Keras" if key == "keras" else f"{key[0]}, {key[1]} decoding"
        rows.append(figure(f"photos per second: {name}", args.photos / float(np.median(found)), "/s"))
    report("large_photos", rows, args.json)


def side(photos: Path, one: InceptionV3, stores: Iterator[Path], *, full: bool) -> Callable[[], None]:
    def run() -> None:
        extract(photos, [one], store=next(stores))

    def run_full() -> None:
        with patch.object(Photo, "scale", lambda self, **limits: 1):
            run()

    return run_full if full else run


if __name__ == "__main__":
    main()
