"""Frozen Inception v3 against Keras run directly, and the promise that a vector depends on its image alone."""

import warnings

import h5py
import keras
import numpy as np
import pytest
from tolerances import ANY_BATCH, ELSEWHERE, assert_near

from featurize import BottleheadError, FeatureTable, InceptionV3, Store, extract
from featurize.networks.catalogue import NETWORKS
from featurize.networks.keras_network import Backbone, layer_names
from featurize.photos.photo import Photo
from featurize.registry import extractor_from_metadata

pytestmark = pytest.mark.tensorflow


@pytest.fixture
def weights(inception_weights):
    return inception_weights


@pytest.fixture(scope="module")
def photos(assets):
    return sorted((assets / "data" / "flowers").glob("*/*.jpg"))[::50][:9]


@pytest.fixture(scope="module")
def keras_model(inception_weights):
    model = keras.applications.InceptionV3(include_top=False, weights=None, input_shape=(299, 299, 3))
    model.load_weights(inception_weights)
    return model


@pytest.mark.parametrize("layer", ["avg_pool", "mixed8"])
def test_vectors_equal_keras_at_every_batch_size_and_in_any_order(
    weights, photos, keras_model, layer, networks_store
):
    extractor = InceptionV3(weights=weights, layer=layer, batch_size=32)
    extractor.attach(Store(networks_store))  # the frozen network comes from there, the vectors do not
    vectors = extractor.transform(photos)
    pixels = np.stack([extractor.prepare(Photo(path.read_bytes())) for path in photos])
    output = keras_model.output if layer == "avg_pool" else keras_model.get_layer(layer).output
    pooled = keras.Model(keras_model.input, keras.layers.GlobalAveragePooling2D()(output))
    expected = pooled.predict(
        keras.applications.inception_v3.preprocess_input(pixels.astype("f4")), verbose=0
    )
    assert_near(vectors, expected, ELSEWHERE)
    for batch_size in (1, 7):
        order = np.random.default_rng(batch_size).permutation(len(photos))
        again = extractor.set_params(batch_size=batch_size).transform([photos[i] for i in order])
        assert_near(again, vectors[order], ANY_BATCH)


def test_declared_widths_are_those_of_the_network(keras_model):
    layers = layer_names(keras_model)
    for name, width in NETWORKS["inception_v3"].layers.items():
        output = keras_model.output if name == "avg_pool" else layers[name].output
        assert output.shape[-1] == width, name
    assert layers["conv2d_93"].output.shape[-1] == 192


def test_a_table_says_which_weights_made_it_and_a_second_run_computes_nothing(weights, photos, tmp_path):
    mixed8 = InceptionV3(weights=weights, layer="mixed8")
    table = extract(photos, [mixed8], store=tmp_path)
    record = table.metadata["features"]["inception_v3:mixed8"]
    assert record["weights"]["source"] == "file"
    assert record["weights"]["sha256"] in record["description"]["weights"]
    again = InceptionV3(weights=weights, layer="mixed8")
    np.testing.assert_array_equal(
        extract(photos, [again], store=tmp_path).select(again.name), table.select(again.name)
    )
    assert not hasattr(again, "_loaded"), "the network was loaded although the store held every vector"
    anew = InceptionV3(weights=weights, layer="mixed8")
    anew.attach(Store(tmp_path))
    assert_near(anew.transform(photos), table.select(again.name), ANY_BATCH)


def test_the_kept_network_gives_the_same_vectors_and_a_damaged_one_is_made_again(tmp_path, photos):
    store = Store(tmp_path)
    extractor = InceptionV3(weights="random", layer="mixed0")
    extractor.attach(store)
    expected = extractor.transform(photos[:2])
    (kept,) = (tmp_path / "graphs").glob("*.pb")
    for damage in (False, True):
        if damage:
            kept.write_bytes(kept.read_bytes()[:1000])
        other = InceptionV3(weights="random", layer="mixed0")
        other.attach(store)
        np.testing.assert_array_equal(other.transform(photos[:2]), expected)


def test_random_weights_are_the_same_for_a_seed_and_alive_to_the_end(photos):
    one, same, other = (InceptionV3(weights=w) for w in ("random", "random:0", "random:1"))
    assert one.fingerprint() == same.fingerprint() != other.fingerprint()
    vectors = one.transform(photos[:2])
    np.testing.assert_array_equal(vectors, same.transform(photos[:2]))
    assert (vectors.std(axis=0) > 0).mean() > 0.5


def test_an_extractor_comes_back_from_a_table(weights, photos, tmp_path):
    table = extract(photos[:2], [InceptionV3(weights=weights, layer="mixed8")], store=tmp_path / "store")
    table.write(tmp_path / "t.parquet")
    record = FeatureTable.read(tmp_path / "t.parquet").metadata["features"]["inception_v3:mixed8"]
    assert extractor_from_metadata(record).fingerprint() == record["fingerprint"]


def test_an_unknown_layer_lists_the_layers():
    with pytest.raises(BottleheadError, match=r"no layer mixed11.*mixed8"):
        InceptionV3(weights="random", layer="mixed11").transform([np.zeros((9, 9, 3), np.uint8)])


def test_weights_of_another_network_are_named(tmp_path):
    model = keras.Sequential([keras.layers.Input((4,)), keras.layers.Dense(2)])
    model.save_weights(tmp_path / "other.weights.h5")
    with pytest.raises(BottleheadError, match="does not hold the weights of inception_v3"):
        InceptionV3(weights=tmp_path / "other.weights.h5").transform([np.zeros((9, 9, 3), np.uint8)])


def test_weights_of_this_network_that_keras_cannot_read_are_not_said_to_be_another_s(tmp_path):
    network = keras.applications.MobileNet(
        include_top=False, weights=None, input_shape=(128, 128, 3), alpha=0.25
    )
    file = tmp_path / "renamed.weights.h5"
    network.save_weights(file)
    with h5py.File(file, "r+") as content:
        content.move("layers", "elsewhere")
    with pytest.raises(BottleheadError, match="as many numbers, but Keras cannot read them"):
        Backbone("mobilenet_0.25_128", file).transform([np.zeros((9, 9, 3), np.uint8)])


def test_weights_that_fit_another_network_are_named_without_pages_of_warnings(weights, tmp_path):
    strange = keras.applications.MobileNet(
        include_top=False, weights=None, input_shape=(64, 64, 3), alpha=0.25
    )
    keras.Model(strange.input, strange.layers[40].output).save_weights(tmp_path / "part.weights.h5")
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        for file, what in (
            (weights, "it holds those of inception_v3"),
            (tmp_path / "part.weights.h5", "fit none"),
        ):
            with pytest.raises(BottleheadError, match=rf"does not hold the weights of resnet50.*{what}"):
                Backbone("resnet50", file).transform([np.zeros((9, 9, 3), np.uint8)])
    assert not said
