"""Networks in 8-bit integers: how they are made, kept, told apart, made again elsewhere, and checked."""

import io
import logging
import os
import shutil
import subprocess
import sys
import zipfile
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from builders import flip_bit, run
from tolerances import INT8_AWAY, distances

from classify import load_model, predict_images, save_model, train_model
from featurize import BottleheadError, FrozenGraph, extract
from featurize.errors import ModelError, UsageError
from featurize.networks import int8
from featurize.photos.photo import Photo
from featurize.registry import extractor_from_metadata
from featurize.store.store import Store

pytestmark = pytest.mark.tensorflow


@pytest.fixture(scope="module")
def graph(assets) -> Path:
    return assets / "weights" / "mobilenet_v1_0.25_128.pb"


@pytest.fixture(scope="module")
def photos(assets) -> list[Path]:
    return sorted((assets / "data" / "flowers").glob("*/*.jpg"))[::75]


@pytest.fixture(scope="module")
def made(graph, photos, tmp_path_factory):
    """A table in int8 and its store, with the network that was made for it."""
    if find_spec("openvino") is None or find_spec("nncf") is None:
        pytest.skip("install the extra int8")
    store = tmp_path_factory.mktemp("int8")
    labelled = [(photo, photo.parent.name) for photo in photos]
    table = extract(labelled, [FrozenGraph(graph, engine="openvino", precision="int8")], store=store)
    (kept,) = (store / "graphs").glob("quantised-*.zip")
    return table, store, kept


def entry_of(table):
    (entry,) = table.metadata["features"].values()
    return entry


def test_the_crops_are_the_same_on_every_machine_and_in_the_size_of_the_network():
    crops = list(int8.calibration_images(32))
    assert len(crops) == 150 and {crop.shape for crop in crops} == {(32, 32, 3)}
    assert len({crop.tobytes() for crop in crops}) == 150
    grey = [bool((crop[..., 0] == crop[..., 1]).all()) for crop in crops]
    assert 0.2 < np.mean(grey) < 0.5  # photos of both kinds
    again = list(int8.calibration_images(32))
    assert all(map(np.array_equal, crops, again))


def test_a_picture_that_is_not_as_published_is_refused(monkeypatch):
    monkeypatch.setitem(int8.PICTURES["scikit-learn"], "sklearn/datasets/images/china.jpg", "0" * 16)
    with pytest.raises(BottleheadError, match=r"china\.jpg") as raised:
        list(int8.calibration_images(8))
    assert raised.value.hint == "pip install --force-reinstall --no-deps scikit-learn"


def test_vectors_are_near_those_of_float32_and_have_a_fingerprint_of_their_own(made, graph, photos, tmp_path):
    table, _, kept = made
    exact = FrozenGraph(graph, engine="openvino", store=tmp_path).transform(photos)
    (rounded,) = table.vectors.values()
    far = distances(rounded, exact)
    assert INT8_AWAY[0] < far.mean() < INT8_AWAY[1]
    described = entry_of(table)["description"]
    assert described["precision"] == "int8" and described["quantised"] in kept.stem
    assert "150 crops" in described["calibration"]


def test_a_kept_network_is_used_and_neither_tensorflow_nor_nncf_is_asked(made, graph, photos):
    table, store, _ = made
    code = (
        "import sys; import numpy as np; from featurize import FrozenGraph, Store\n"
        "x = FrozenGraph(sys.argv[2], engine='openvino', precision='int8')\n"
        "x.attach(Store(sys.argv[1]))\n"
        "np.save(sys.argv[3], x.transform(sys.argv[4:]))\n"
        "assert 'openvino' in sys.modules and not {'tensorflow', 'nncf'} & set(sys.modules)"
    )
    place = store / "again.npy"
    words = [str(word) for word in (store, graph, place, *photos[:3])]
    done = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    np.testing.assert_array_equal(np.load(place), table.select(entry_of(table)["spec"])[:3])


def test_a_model_predicts_elsewhere_with_the_network_made_again(made, photos, tmp_path, caplog, monkeypatch):
    table, store, kept = made
    save_model(train_model(table, head="knn"), tmp_path / "m.model")
    model = load_model(tmp_path / "m.model")
    here = predict_images(model, photos[:2], store=store)
    # As another processor would see them, which rounds in other ways: what is made there is nearly the same network.
    crops = [crop + np.float32(1e-4) for crop in int8.calibration_images(128)]
    monkeypatch.setattr(int8, "calibration_images", lambda side: iter(crops))
    caplog.set_level(logging.INFO, "bottlehead")
    there = predict_images(model, photos[:2], store=tmp_path / "there")
    assert there.label == here.label and "in int8, once" in caplog.text
    (other,) = (tmp_path / "there" / "graphs").glob("quantised-*.zip")
    assert other.name != kept.name
    extractor = extractor_from_metadata(entry_of(table))
    extractor.attach(Store(tmp_path / "there"))
    assert extractor.fingerprint() != entry_of(table)["fingerprint"]
    vectors = extractor.vectors([extractor.prepare(one) for one in _opened(photos)])
    far = distances(vectors, table.select(extractor.name))
    assert 0 < far.max() < 5e-2
    # With the network of the training at hand, that is the one that is used.
    shutil.copy(kept, other.parent)
    same = extractor_from_metadata(entry_of(table))
    same.attach(Store(tmp_path / "there"))
    assert same.fingerprint() == entry_of(table)["fingerprint"]


def _opened(photos):
    return [Photo.of(photo.read_bytes()) for photo in photos]


def test_a_network_made_again_that_is_another_is_refused(made, photos, tmp_path, monkeypatch):
    table, _, _ = made
    save_model(train_model(table, head="knn"), tmp_path / "m.model")
    dark = np.zeros((128, 128, 3), np.uint8)
    monkeypatch.setattr(int8, "calibration_images", lambda side: iter([dark] * 150))
    monkeypatch.setattr(int8, "N_CROPS", 5)
    with pytest.raises(ModelError, match="does not make the vectors of the training here"):
        predict_images(load_model(tmp_path / "m.model"), photos[:1], store=tmp_path / "there")


def test_a_damaged_network_is_made_again_the_same(graph, tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(int8, "N_CROPS", 3)
    extractor = FrozenGraph(graph, engine="openvino", precision="int8")
    extractor.attach(Store(tmp_path))
    fingerprint = extractor.fingerprint()
    (kept,) = (tmp_path / "graphs").glob("quantised-*.zip")
    flip_bit(kept, 0.9)
    again = FrozenGraph(graph, engine="openvino", precision="int8")
    again.attach(Store(tmp_path))
    assert again.fingerprint() == fingerprint and "damaged" in caplog.text
    with zipfile.ZipFile(kept) as archive:
        assert archive.testzip() is None


def test_without_nncf_the_error_says_what_to_install(graph, photos, tmp_path, monkeypatch):
    monkeypatch.setattr(int8, "find_spec", lambda name: None)
    # Said before the network in float32 is made.
    monkeypatch.setattr(FrozenGraph, "freeze", lambda *_: pytest.fail("frozen"))
    words = [graph, "--precision", "int8", "--store", tmp_path]
    done = run("featurize", "extract", photos[0].parent, "-o", tmp_path / "t.parquet", "--features", *words)
    assert done.status == 1 and "NNCF, which makes it, is not installed" in done.error
    assert done.hint.startswith("pip install '.[int8]' in the checkout")


def test_an_nncf_that_does_not_go_with_openvino_is_one_error(graph, monkeypatch):
    def broken(model, taken):
        raise AttributeError("type object has no attribute u2")

    monkeypatch.setattr(int8, "_quantised", broken)
    with pytest.raises(UsageError, match=r"NNCF cannot make .* in int8: .* u2") as raised:
        FrozenGraph(graph, engine="openvino", precision="int8").fingerprint()
    assert "pip install --upgrade '.[int8]' in the checkout" in raised.value.hint


def test_int8_is_for_openvino_alone(graph):
    with pytest.raises(UsageError, match="tensorflow does not compute in int8") as raised:
        FrozenGraph(graph, precision="int8").fingerprint()
    assert raised.value.hint == "use engine openvino"


def test_prune_leaves_a_network_whose_vectors_are_kept_and_takes_others(made, tmp_path):
    _, store, kept = made
    shutil.copytree(store, tmp_path / "store")
    other = tmp_path / "store" / "graphs" / f"quantised-{'0' * 32}-{'0' * 64}.zip"
    shutil.copy(kept, other)
    for path in other.parent.iterdir():
        os.utime(path, (0, 0))
    run("featurize", "store", "prune", "--yes", "--store", tmp_path / "store")
    assert (other.parent / kept.name).is_file() and not other.exists()


def test_the_digest_leaves_out_names_and_holds_every_number(made):
    *_, kept = made
    with zipfile.ZipFile(io.BytesIO(kept.read_bytes())) as archive:
        xml, numbers = archive.read("network.xml"), archive.read("network.bin")
    digest = int8.digest_of(xml, numbers)
    assert digest == int8.digest_of(xml.replace(b'name="', b'name="another '), numbers)
    changed = bytes([numbers[0] ^ 1]) + numbers[1:]
    assert digest != int8.digest_of(xml, changed)
    assert digest != int8.digest_of(xml.replace(b'levels="256"', b'levels="255"'), numbers)
