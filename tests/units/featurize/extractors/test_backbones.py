"""Networks of Keras: against Keras itself, several layers in one run, and as citizens of scikit-learn."""

import pickle
import warnings
from functools import partial

import h5py
import keras
import numpy as np
import pytest
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.utils import estimator_checks
from tolerances import ANY_BATCH, BFLOAT16, BFLOAT16_AWAY_RANDOM, ELSEWHERE, any_batch, assert_near, distances

from featurize import GLCM, BottleheadError, Store, extract
from featurize.networks import tensorflow_engine
from featurize.networks.catalogue import NETWORKS
from featurize.networks.graph_extractor import FrozenGraph
from featurize.networks.kept_networks import load_frozen_graph, save_frozen_graph
from featurize.networks.keras_network import Backbone, InceptionV3, build_model, layer_names
from featurize.networks.tensorflow_engine import FrozenFunction
from featurize.photos.photo import Photo

pytestmark = pytest.mark.tensorflow
SMALL = "mobilenet_0.25_128"
HEADLESS = partial(keras.applications.MobileNet, include_top=False, weights=None, alpha=0.25)
BLACK = np.zeros((9, 9, 3), np.uint8)


@pytest.fixture(scope="module")
def photos(assets):
    return sorted((assets / "data" / "flowers").glob("*/*.jpg"))[::75]


def anew(extractor, store):
    """The same extractor, which finds its frozen network in the store or leaves it there, and computes every vector."""
    found = clone(extractor).set_params(store=None)
    found.attach(Store(store))
    return found


@pytest.fixture
def runs(monkeypatch):
    """How many images each run of a network saw, and for how many outputs."""
    seen = []
    run = FrozenFunction.__call__

    def counted(self, pixels):
        seen.append((len(pixels), len(self.widths)))
        return run(self, pixels)

    monkeypatch.setattr(FrozenFunction, "__call__", counted)
    return seen


@pytest.mark.parametrize(("name", "layer"), [
    ("mobilenet_0.50_160", "conv_pw_6_relu"), ("mobilenet_v3_small", "avg_pool"),
    ("efficientnet_b0", "block2b_add"),
])  # fmt: skip
def test_vectors_equal_keras_whatever_the_batch(photos, name, layer):
    extractor = Backbone(name, weights="random", layer=layer)
    vectors = extractor.transform(photos[:4])
    model = build_model(extractor.network, extractor.found_weights())
    entry, output = model.input, model.output if layer == "avg_pool" else layer_names(model)[layer].output
    pixels = np.stack([extractor.prepare(Photo(path.read_bytes())) for path in photos[:4]]).astype("f4")
    module = {"mob": "mobilenet", "eff": "efficientnet"}[name[:3]]
    scaled = pixels if "v3" in name else getattr(keras.applications, module).preprocess_input(pixels)
    if name == "efficientnet_b0":
        # What Keras builds between its second and third layer when it fetches the weights itself.
        divided = 1 / np.sqrt(np.array([0.229, 0.224, 0.225], np.float32))
        scaled = keras.Model(entry, model.layers[2].output).predict(scaled, verbose=0)
        # Random weights have mean 0 and variance 1 there, published ones ImageNet's.
        mean = np.array([0.485, 0.456, 0.406], np.float32)
        scaled = (scaled - mean) * divided + mean
        entry = model.layers[3].input
    if len(output.shape) == 4:
        output = keras.layers.GlobalAveragePooling2D()(output)
    expected = keras.Model(entry, output).predict(scaled, verbose=0)
    assert vectors.shape == (4, extractor.width)
    assert_near(vectors, expected, ELSEWHERE)
    again = extractor.set_params(batch_size=3).transform(photos[3::-1])
    assert_near(again, vectors[::-1], any_batch(name))
    # Random weights are alive to the end.
    assert (vectors.std(axis=0) > 0).mean() > 0.5


def test_the_halves_of_a_batch_give_the_vectors_of_one_run_and_of_each_photo_alone(photos, networks_store):
    extractor = anew(Backbone(SMALL, "random"), networks_store)
    n_photos = 2 * tensorflow_engine.WHOLE + 3
    prepared = [extractor.prepare(Photo(photos[i % len(photos)].read_bytes())) for i in range(n_photos)]
    pixels = extractor.gather(prepared)
    pixels += np.arange(n_photos, dtype=np.float32)[:, None, None, None] / 100  # no two photos alike
    network = extractor._function([extractor])
    alone = np.concatenate([network(photo[None])[0] for photo in pixels])
    for n in (tensorflow_engine.WHOLE + 1, n_photos):
        (vectors,) = network(pixels[:n])
        assert_near(vectors, network._run(pixels[:n])[0], any_batch(SMALL))
        assert vectors.shape == (n, extractor.width)
        assert_near(vectors, alone[:n], any_batch(SMALL))
        assert len(np.unique(vectors, axis=0)) == n


def test_layers_of_one_network_come_out_of_one_run_where_needed(photos, tmp_path, networks_store, runs):
    # conv_pw_6 is in the middle of what the optimiser fuses into one operation for the others.
    team = [Backbone(SMALL, "random", layer) for layer in ("avg_pool", "conv_pw_6", "conv_dw_3_bn")]
    extract(photos[:6], team[:1], store=tmp_path)
    runs.clear()
    table = extract(photos, team, store=tmp_path)
    # All three of the new photos, and the other two of the first six.
    assert {(len(photos) - 6, 3), (6, 2)} <= set(runs)
    for extractor in team:
        alone = anew(extractor, networks_store).transform(photos)
        assert_near(table.select(extractor.name), alone, any_batch(SMALL), extractor.name)


def test_real_inception_runs_once_and_depends_on_no_batch(inception_weights, photos, networks_store):
    kinds = [InceptionV3(inception_weights, "mixed8") for _ in range(2)]
    first, again = (extract(photos[:9], [kind], store=networks_store).select(kind.name) for kind in kinds)
    np.testing.assert_array_equal(again, first)
    assert kinds[1]._loaded is None, "the network was loaded although the store held every vector"
    order = np.random.default_rng(7).permutation(9)
    for batch_size in (1, 7):
        other = anew(kinds[0], networks_store).set_params(batch_size=batch_size)
        assert_near(other.transform([photos[i] for i in order]), first[order], ANY_BATCH)


def test_a_kept_network_gives_the_same_vectors_and_one_that_cannot_be_loaded_is_frozen_anew(photos, tmp_path):
    import tensorflow as tf

    network, store = Backbone(SMALL, "random"), Store(tmp_path)
    expected = anew(network, tmp_path).transform(photos[:2])
    np.testing.assert_array_equal(anew(network, tmp_path).transform(photos[:2]), expected)
    definition = tf.compat.v1.GraphDef.FromString(load_frozen_graph(store, network.fingerprint()))
    definition.node[-1].op = "OfALaterVersion"
    save_frozen_graph(store, network.fingerprint(), definition.SerializeToString())
    np.testing.assert_array_equal(anew(network, tmp_path).transform(photos[:2]), expected)
    mended = tf.compat.v1.GraphDef.FromString(load_frozen_graph(store, network.fingerprint()))
    assert not any(node.op == "OfALaterVersion" for node in mended.node)


def test_a_seed_and_a_saved_file_with_or_without_its_head_give_the_same_vectors(photos, tmp_path):
    seeded = Backbone(SMALL, "random:5")
    headless = build_model(NETWORKS[SMALL], seeded.found_weights())
    whole = keras.applications.MobileNet(weights=None, input_shape=(128, 128, 3), alpha=0.25)
    whole.set_weights([*headless.get_weights(), *whole.get_weights()[len(headless.weights) :]])
    whole.save_weights(tmp_path / "whole.weights.h5")
    vectors = Backbone(SMALL, tmp_path / "whole.weights.h5").transform(photos[:2])
    np.testing.assert_array_equal(vectors, seeded.transform(photos[:2]))


def test_weights_of_this_network_that_keras_cannot_read_are_not_said_to_be_another_s(tmp_path):
    file = tmp_path / "renamed.weights.h5"
    HEADLESS(input_shape=(128, 128, 3)).save_weights(file)
    with h5py.File(file, "r+") as content:
        content.move("layers", "elsewhere")
    with pytest.raises(BottleheadError, match="as many numbers, but Keras cannot read them"):
        Backbone(SMALL, file).transform([BLACK])


def test_weights_that_fit_another_network_are_named_without_pages_of_warnings(inception_weights, tmp_path):
    strange = HEADLESS(input_shape=(64, 64, 3))
    part = tmp_path / "part.weights.h5"
    keras.Model(strange.input, strange.layers[40].output).save_weights(part)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        for file, what in ((inception_weights, "it holds those of inception_v3"), (part, "fit none")):
            with pytest.raises(BottleheadError, match=rf"does not hold the weights of vgg16.*{what}"):
                Backbone("vgg16", file).transform([BLACK])
    assert not said


def test_bfloat16_is_refused_where_the_processor_lacks_it(tmp_path, monkeypatch, photos):
    processor = tmp_path / "cpuinfo"
    monkeypatch.setattr(tensorflow_engine, "PROCESSOR", processor)
    processor.write_text("flags : fpu avx512f avx512_vnni")
    with pytest.raises(BottleheadError, match="does not compute in bfloat16"):
        Backbone(SMALL, "random", precision="bfloat16").transform(photos[:1])
    processor.write_text("flags : fpu avx512f avx512_bf16")
    half = Backbone(SMALL, "random", precision="bfloat16")
    assert half.fingerprint() != Backbone(SMALL, "random").fingerprint()
    with pytest.raises(BottleheadError, match="choose float32 or bfloat16"):
        Backbone(SMALL, "random", precision="float16").fingerprint()


@pytest.mark.usefixtures("bfloat16")
def test_bfloat16_changes_vectors_a_little_and_not_with_the_batch(photos, networks_store):
    half = Backbone(SMALL, "random", precision="bfloat16")
    exact, vectors = anew(Backbone(SMALL, "random"), networks_store).transform(photos), half.transform(photos)
    least, most = BFLOAT16_AWAY_RANDOM
    assert least < distances(vectors, exact).mean() < most
    assert_near(half.set_params(batch_size=3).transform(photos), vectors, BFLOAT16)


@pytest.mark.parametrize("extractor", [Backbone(SMALL), InceptionV3(), FrozenGraph("g.pb"), GLCM()], ids=repr)
def test_scikit_learn_common_checks(extractor):
    """All other checks of scikit-learn fit or transform a matrix of numbers."""
    for check in (
        "estimator_cloneable estimator_repr estimator_tags_renamed get_params_invariance mixin_order set_params "
        "no_attributes_set_in_init parameters_default_constructible valid_tag_types"
    ).split():
        getattr(estimator_checks, f"check_{check}")(type(extractor).__name__, extractor)


def test_workers_get_arguments_and_no_network(photos, networks_store):
    loaded = anew(Backbone(SMALL, "random"), networks_store)
    expected = loaded.transform(photos[:4])
    sent = pickle.dumps(loaded)
    assert len(sent) < 1000
    received = pickle.loads(sent)  # noqa: S301
    assert received.fingerprint() == loaded.fingerprint()
    assert_near(received.transform(photos[:4]), expected, any_batch(SMALL))


def test_a_grid_search_with_a_store_runs_the_network_once(photos, tmp_path, runs):
    extractor = Backbone(SMALL, "random", store=tmp_path)
    y = [path.parent.name in ("daisy", "roses") for path in photos]
    pipeline = make_pipeline(extractor, LogisticRegression(max_iter=50))
    search = GridSearchCV(pipeline, {"logisticregression__C": [0.1, 1.0]}, cv=2).fit(photos, y)
    assert search.predict(photos).shape == (len(photos),)
    images = [n for n, _ in runs]
    # Every photo once, and the trial of the network: the golden image alone, and between two others.
    assert sum(images) == len(photos) + 4
