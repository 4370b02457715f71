"""Photos to stored vectors, end to end, against what people would otherwise write and against what the machine can do.

    python tests/benchmarks/featurize_flowers.py [--assets DIR] [--photos 250] [--repeats 5] [--json FILE]
                                                 [--engines tensorflow openvino] [--large]

Our side is `featurize.extract` with an empty store each time: files read and hashed, photos decoded, vectors computed
and stored. Beside it, in the same process and taking turns:

(a) Keras' own idiom, `image_dataset_from_directory` and `model.predict` in batches of 32, up to its last batch: after
    that tf.data often waits for its own tuner, which wakes after 10 ms, 20 ms, 40 ms, … and so for seconds;
(b) retrain.py's way: one photo at a time through the frozen graph, and a text file each. A fifth of the photos, scaled;
(c) the ceiling: the same network in OpenVINO on tensors that are ready, nothing read, decoded or kept. One image per
    request and one request per processor was as quick as any batch size.

The network is Inception v3 up to its average pool, the same weights everywhere; it is built and loaded before the
clock starts, on all sides. Ratios are medians over rounds of neighbouring runs, and above 1 where ours is faster. With
--photos 750 a round takes two minutes on 2 cores. --large enlarges the photos to 12 megapixels, as phones make them.
"""

import argparse
import logging
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
from figures import alternating, figure, parser, ratio, report
from PIL import Image

from featurize import InceptionV3, extract
from featurize.networks.engines import import_tensorflow
from featurize.networks.network_extractor import find_engine
from featurize.networks.tensorflow_engine import has_bfloat16
from featurize.terminal import log

# At least this many times as fast as Keras' idiom, and as the ceiling in the same precision.
AGAINST_KERAS = {("float32", "tensorflow"): 1.25, ("bfloat16", "tensorflow"): 2.2, ("int8", "openvino"): 2.5}
AGAINST_FLOAT32 = 1.9  # int8, both with OpenVINO
AGAINST_CEILING = {
    ("float32", "tensorflow"): 0.88,
    ("bfloat16", "tensorflow"): 0.78,
    ("float32", "openvino"): 0.95,
    ("bfloat16", "openvino"): 0.95,
}


def main(argv: list[str] | None = None) -> None:
    args = arguments(argv)
    assets = Path(args.assets)
    weights = str(next((assets / "weights").glob("inception_v3*.h5")))
    precisions = ["float32", *(["bfloat16"] if has_bfloat16() else [])]
    with tempfile.TemporaryDirectory() as folder:
        given = enlarged if args.large else linked
        photos = given(assets / "data" / "flowers", Path(folder, "photos"), args.photos)
        # The file lacks two convolutions behind mixed8, which changes no speed.
        log.setLevel(logging.ERROR)
        ours = {(p, engine): extractor(weights, p, engine) for p in precisions for engine in args.engines}
        if "openvino" in args.engines and find_spec("nncf"):
            ours["int8", "openvino"] = extractor(weights, "int8", "openvino")
        sides: dict[Any, Callable[[], Any]] = {"keras": keras_side(photos, weights)}
        first = ours["float32", args.engines[0]]
        graph = first.freeze([first], "float32")
        fresh = (Path(folder, f"store{number}") for number in count())
        for key, one in ours.items():
            sides[key] = our_side(photos, one, fresh)
        few = sorted(photos.rglob("*.jpg"))[:: 5 if args.photos >= 5 else 1]
        sides["retrain"] = retrain_side(few, graph, Path(folder))
        if "openvino" in args.engines:
            for precision in precisions:
                sides["ceiling", precision] = ceiling_side(graph, precision, args.photos)
            if ("int8", "openvino") in ours:
                network, _ = ours["int8", "openvino"].quantised()
                sides["ceiling", "int8"] = ceiling_side(network, "int8", args.photos)
        seconds = alternating(sides, args.repeats)
    seconds["retrain"] = [s * args.photos / len(few) for s in seconds["retrain"]]
    report("featurize_flowers", rows(seconds, args.photos), args.json)


def arguments(argv: list[str] | None) -> argparse.Namespace:
    made = parser(__doc__)
    made.add_argument("--assets", default=os.environ.get("TEST_ASSETS"), metavar="DIR")
    made.add_argument("--photos", type=int, default=250)
    made.add_argument("--repeats", type=int, default=5)
    made.add_argument("--engines", nargs="+", default=installed(), choices=["tensorflow", "openvino"])
    made.add_argument("--large", action="store_true", help="photos of 4,000 x 3,000 pixels")
    args = made.parse_args(argv)
    if not args.assets:
        made.error("give --assets or set TEST_ASSETS")
    if "openvino" not in args.engines:
        print("without OpenVINO there is no ceiling to compare with", file=sys.stderr)
    return args


def installed() -> list[str]:
    return ["tensorflow", "openvino"] if find_spec("openvino") else ["tensorflow"]


def linked(source: Path, folder: Path, n_photos: int) -> Path:
    """`n_photos` of the photos, evenly taken, in their class folders."""
    found = sorted(source.rglob("*.jpg"))
    for number in np.linspace(0, len(found) - 1, n_photos).astype(int):
        place = folder / found[number].relative_to(source)
        place.parent.mkdir(parents=True, exist_ok=True)
        place.symlink_to(found[number].resolve())
    return folder


def enlarged(source: Path, folder: Path, n_photos: int) -> Path:
    """The same photos at 4,000 × 3,000 pixels, JPEGs of quality 90, in one folder."""
    (folder / "all").mkdir(parents=True)  # Keras wants class folders
    found = sorted(source.rglob("*.jpg"))
    for number in np.linspace(0, len(found) - 1, n_photos).astype(int):
        with Image.open(found[number]) as photo:
            large = photo.convert("RGB").resize((4000, 3000), Image.Resampling.BICUBIC)
        large.save(folder / "all" / f"{number}.jpg", quality=90)
    return folder


def extractor(weights: str, precision: str, engine: str) -> InceptionV3:
    return InceptionV3(weights, precision=precision, engine=engine)


def our_side(photos: Path, one: InceptionV3, stores: Iterator[Path]) -> Callable[[], None]:
    def run() -> None:
        table = extract(photos, [one], store=next(stores))
        assert table.vectors["inception_v3"].any(axis=1).all()

    return run


def keras_side(photos: Path, weights: str) -> Callable[[], float]:
    import_tensorflow()
    import keras

    base = keras.applications.InceptionV3(
        include_top=False, weights=None, pooling="avg", input_shape=(299, 299, 3)
    )
    base.load_weights(weights)
    pixels = keras.Input((299, 299, 3))
    model = keras.Model(pixels, base(keras.layers.Rescaling(1 / 127.5, -1)(pixels)))

    class LastBatch(keras.callbacks.Callback):
        ended = 0.0

        def on_predict_batch_end(self, batch, logs=None):
            self.ended = time.perf_counter()

    def run() -> float:
        last, start = LastBatch(), time.perf_counter()
        dataset = keras.utils.image_dataset_from_directory(
            photos, label_mode=None, image_size=(299, 299), batch_size=32, shuffle=False, verbose=False
        )
        model.predict(dataset, verbose=0, callbacks=[last])
        return last.ended - start

    return run


def retrain_side(files: list[Path], graph: bytes, folder: Path) -> Callable[[], None]:
    tf = import_tensorflow()
    with tf.Graph().as_default() as both:
        (vector,) = tf.import_graph_def(
            tf.compat.v1.GraphDef.FromString(graph), name="", return_elements=["Identity:0"]
        )
        data = tf.compat.v1.placeholder(tf.string)
        decoded = tf.cast(tf.image.decode_jpeg(data, channels=3), tf.float32)
        resized = tf.compat.v1.image.resize_bilinear(decoded[None], [299, 299])
        scaled = (resized - 127.5) * (1 / 127.5)
    session = tf.compat.v1.Session(graph=both)

    def run() -> None:
        for number, file in enumerate(files):
            pixels = session.run(scaled, {data: file.read_bytes()})
            values = session.run(vector, {"x:0": pixels})[0]
            (folder / f"{number}.txt").write_text(",".join(str(value) for value in values))

    return run


def ceiling_side(graph: bytes, precision: str, n_photos: int) -> Callable[[], None]:
    function = find_engine("openvino").load(graph, 1, precision)
    tensors = np.random.default_rng(0).uniform(-1, 1, (32, 299, 299, 3)).astype(np.float32)

    def run() -> None:
        for start in range(0, n_photos, 32):
            function(tensors[: n_photos - start])

    return run


def rows(seconds: dict[Any, list[float]], n_photos: int) -> list[dict]:
    made = []
    for key, found in seconds.items():
        if isinstance(key, tuple) and key[0] != "ceiling":
            name = f"{key[0]}, {key[1]}"
            made.append(
                figure(
                    f"{name}: × (a) Keras",
                    ratio(seconds["keras"], found),
                    "",
                    at_least=AGAINST_KERAS.get(key),
                )
            )
            made.append(figure(f"{name}: × (b) retrain.py", ratio(seconds["retrain"], found), ""))
            if ("ceiling", key[0]) in seconds:
                against = ratio(seconds["ceiling", key[0]], found)
                made.append(figure(f"{name}: × (c) ceiling", against, "", at_least=AGAINST_CEILING.get(key)))
    float32, int8 = (seconds.get((precision, "openvino")) for precision in ("float32", "int8"))
    if float32 and int8:
        made.append(figure("int8 × float32, openvino", ratio(float32, int8), "", at_least=AGAINST_FLOAT32))
    for key, found in seconds.items():
        name = " ".join(key) if isinstance(key, tuple) else key
        made.append(figure(f"photos per second: {name}", n_photos / float(np.median(found)), "/s"))
    return made


if __name__ == "__main__":
    main()
