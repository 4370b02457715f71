"""Which way to run a network is fastest: what was measured counts, on this machine and with these versions alone."""

import json

import numpy as np
import pytest

from featurize.networks import fastest
from featurize.networks.keras_network import Backbone

SMALL = "mobilenet_0.25_128"


@pytest.fixture
def network(monkeypatch, tmp_path) -> Backbone:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr("featurize.networks.tensorflow_engine.has_bfloat16", lambda: False)
    return Backbone(SMALL, "random")


@pytest.fixture
def rates(monkeypatch):
    """What measurements would give, and which were made."""
    found = {("tensorflow", "float32"): 10.0, ("openvino", "float32"): 13.0, ("openvino", "int8"): 27.0}
    made = []

    def measure(extractor, store):
        way = extractor.engine, extractor.precision
        made.append(way)
        fastest._remember(extractor, found[way])
        return found[way]

    monkeypatch.setattr(fastest, "measure", measure)
    monkeypatch.setattr(fastest, "missing", lambda way: None)
    return found, made


@pytest.mark.parametrize(("engine", "precision", "best"), [
    ("auto", "float32", ("openvino", "float32")), ("auto", "fastest", ("openvino", "int8")),
    ("tensorflow", "fastest", ("tensorflow", "float32")), ("openvino", "fastest", ("openvino", "int8")),
])  # fmt: skip
def test_the_fastest_of_what_is_left_open_is_chosen_and_measured_once(
    network, rates, engine, precision, best
):
    assert fastest.choose(network, None, engine, precision) == best
    n_measured = len(rates[1])
    assert fastest.choose(network, None, engine, precision) == best
    assert len(rates[1]) == n_measured == len(set(rates[1])) > 0


def test_a_slow_openvino_is_not_taken(network, rates):
    rates[0]["openvino", "float32"] = 9.0
    assert fastest.choose(network, None, "auto", "float32") == ("tensorflow", "float32")


def test_what_other_machines_versions_and_layers_made_does_not_count(network, rates, monkeypatch):
    fastest.choose(network, None, "auto", "float32")
    assert fastest.measured(network) == {("tensorflow", "float32"): 10.0, ("openvino", "float32"): 13.0}
    assert fastest.measured(Backbone(SMALL, "random", layer="conv_pw_6")) == {}
    with monkeypatch.context() as other:
        other.setattr(fastest.platform, "node", lambda: "elsewhere")
        assert fastest.measured(network) == {} == fastest.rates_of(SMALL)
    monkeypatch.setattr(fastest, "_version", lambda engine: "99")
    assert fastest.measured(network) == {}


@pytest.mark.parametrize(
    "content", ["no JSON", "[]", '{"a|b": 1}', '{"1|2|3|4|5|6|7|8": "fast"}', "{}", '{"a": NaN}']
)
def test_a_damaged_file_of_speeds_is_forgotten(network, rates, content):
    place = fastest._place()
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(content)
    assert fastest.measured(network) == {}
    fastest.choose(network, None, "tensorflow", "float32")
    assert list(json.loads(place.read_text()).values()) == [10.0]


def test_one_line_says_what_would_be_faster_by_how_much_and_how_that_is_known(network, rates, monkeypatch):
    line = fastest.faster(network)
    assert "openvino in int8 would be about 2.8 times as fast, as measured elsewhere" in line
    monkeypatch.setattr(fastest, "missing", lambda way: fastest.INSTALL if way[1] == "int8" else None)
    assert "pip install '.[int8]' in the checkout, then --engine openvino --precision int8" in fastest.faster(
        network
    )
    rates[0]["openvino", "int8"] = 12.9
    monkeypatch.setattr(fastest, "missing", lambda way: None)
    fastest.choose(network, None, "auto", "fastest")
    line = fastest.faster(network)
    assert "openvino in float32 would be 1.3 times as fast, as measured here" in line
    assert fastest.faster(Backbone(SMALL, "random", engine="openvino")) is None
    assert fastest.faster(object()) is None
    # 1.29 times as fast spares 225 of 1,000 seconds, and 22 of 100.
    assert fastest.faster(network, 1000.0) == line and fastest.faster(network, 5.0) is None
    assert np.isfinite(list(fastest.TYPICAL.values())).all()
