"""Faults that leave the fingerprint as it is and the numbers not: each is provoked, and refused with the drift."""

import logging

import numpy as np
import pytest
from PIL.Image import Resampling

from classify.prediction.extractors import TOLERANCE, TOLERANCES, check_golden
from featurize.errors import ModelError
from featurize.extractors.base import golden_image
from featurize.photos.photo import Photo
from featurize.registry import extractor_from_metadata, make_extractor
from featurize.store.store import Store


def recorded(extractor):
    return extractor.record(extractor.vectors([extractor.prepare(Photo.from_array(golden_image()))])[0])


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "store")


@pytest.fixture
def glcm():
    return make_extractor("glcm")


def test_an_extractor_that_passed_is_asked_again_with_other_libraries_alone(glcm, store, monkeypatch):
    entry = recorded(glcm)
    check_golden([glcm], [entry], store)
    monkeypatch.setattr(type(glcm), "vectors", lambda *_: pytest.fail("computed again"))
    check_golden([glcm], [entry], store)
    check_golden([make_extractor("glcm")], [entry], Store(store.folder.url))

    version = "classify.prediction.extractors.importlib.metadata.version"
    monkeypatch.setattr(version, lambda name: f"99 of {name}")
    monkeypatch.setattr(type(glcm), "vectors", lambda self, prepared: np.ones((1, 5), np.float32))
    with pytest.raises(ModelError, match=r"numpy was [\d.]+, is 99 of numpy, pillow was") as caught:
        check_golden([glcm], [entry], store)
    assert "use the versions and weights of the training" in caught.value.hint


@pytest.mark.parametrize(("factor", "passes"), [(0.9, True), (1.1, False)])
@pytest.mark.parametrize("precision", ["float32", "bfloat16", "int8"])
def test_the_tolerance_is_the_stated_one(precision, factor, passes, glcm, store):
    tolerance = TOLERANCES.get(precision, TOLERANCE)
    entry = recorded(glcm)
    entry["description"]["precision"] = precision
    golden = np.array(entry["golden"])
    entry["golden"] = (golden / (1 + factor * tolerance)).tolist()
    if passes:
        check_golden([glcm], [entry], store)
    else:
        share = f"{100 * factor * tolerance:.2f} %".replace(".", r"\.")
        with pytest.raises(ModelError, match=f"that of the test image is {share} off"):
            check_golden([glcm], [entry], store)


def test_another_width_is_another_vector_and_imported_features_have_none_to_compare(glcm, store):
    entry = recorded(glcm)
    with pytest.raises(ModelError, match="is entirely off"):
        check_golden([glcm], [entry | {"golden": entry["golden"][:4]}], store)
    for golden in ([], None):
        check_golden([glcm], [{"golden": golden}], store)


@pytest.fixture(scope="module")
def network(assets):
    return recorded(make_extractor(str(assets / "weights" / "mobilenet_v1_0.25_128.pb")))


FAULTS = {
    "network_extractor.resize": lambda image, *size: np.asarray(image.resize(size, Resampling.BICUBIC)),
    "graph_extractor.FrozenGraph.scaled": lambda self, pixels: pixels[..., ::-1] / 127.5 - 1,
}


@pytest.mark.tensorflow
@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_of_the_pixels_is_refused(fault, network, store, monkeypatch):
    check_golden([extractor_from_metadata(network)], [network], Store(store.folder.url + "/whole"))
    monkeypatch.setattr(f"featurize.networks.{fault}", FAULTS[fault])
    extractor = extractor_from_metadata(network)
    assert extractor.fingerprint() == network["fingerprint"]  # nothing else would notice
    with pytest.raises(ModelError, match=r"does not make the vectors of the training here: .* % off"):
        check_golden([extractor], [network], store)


@pytest.mark.tensorflow
def test_two_layers_of_one_network_load_it_once(assets, store, monkeypatch, caplog):
    file = str(assets / "weights" / "mobilenet_v1_0.25_128.pb")
    layers = [file, f"{file}:MobilenetV1/MobilenetV1/Conv2d_5_pointwise/Relu6"]
    entries = [recorded(make_extractor(one)) for one in layers]
    again = [extractor_from_metadata(entry) for entry in entries]
    widths = [one.width for one in again]  # loads each, unattached
    assert widths == [len(entry["golden"]) for entry in entries]
    caplog.clear()
    with caplog.at_level(logging.INFO, "bottlehead"):
        check_golden(again, entries, store)
    loaded = [text for text in caplog.messages if text.startswith("loading ")]
    assert loaded == [f"loading {again[0].name}, {again[1].name}"]
    with monkeypatch.context() as patch:  # both were noted
        patch.setattr(type(again[0]), "run_together", lambda *_: pytest.fail("computed again"))
        check_golden(again, entries, store)
    entries[1]["golden"][0] += 1.0
    with pytest.raises(ModelError, match=f"^{again[1].name} does not make the vectors"):
        check_golden(again, entries, store)
