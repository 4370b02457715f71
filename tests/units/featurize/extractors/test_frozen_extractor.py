"""Networks of several families against Keras, several layers in one run, and networks as scikit-learn citizens."""

import keras
import numpy as np
import pandas as pd
import pytest
from joblib import Parallel, delayed
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import FeatureUnion, make_pipeline
from sklearn.utils import estimator_checks
from tolerances import BFLOAT16, BFLOAT16_AWAY_RANDOM, ELSEWHERE, any_batch, assert_near, distances

from featurize import GLCM, BottleheadError, Store, extract
from featurize.networks import tensorflow_engine
from featurize.networks.catalogue import NETWORKS
from featurize.networks.graph_extractor import FrozenGraph
from featurize.networks.keras_network import Backbone, InceptionV3, build_model, layer_names
from featurize.networks.network_extractor import load_frozen_graph, save_frozen_graph
from featurize.networks.tensorflow_engine import FrozenFunction
from featurize.photos.photo import Photo

pytestmark = pytest.mark.tensorflow
SMALL = "mobilenet_0.25_128"


@pytest.fixture(scope="module")
def photos(assets):
    return sorted((assets / "data" / "flowers").glob("*/*.jpg"))[::75]


def anew(extractor, store):
    """The same extractor, which finds its frozen network in the store, and computes every vector."""
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


@pytest.mark.parametrize(
    ("name", "layer"),
    [(SMALL, "avg_pool"), ("mobilenet_0.50_160", "conv_pw_6_relu"), ("mobilenet_v3_small", "avg_pool"),
     ("efficientnet_b0", "avg_pool")],
)  # fmt: skip
def test_vectors_equal_keras_whatever_the_batch(photos, name, layer):
    extractor = Backbone(name, weights="random", layer=layer)
    vectors = extractor.transform(photos[:4])
    model = build_model(extractor.network, extractor.found_weights())
    pixels = np.stack([extractor.prepare(Photo(path.read_bytes())) for path in photos[:4]]).astype("f4")
    module = {"mob": "mobilenet", "eff": "efficientnet"}[name[:3]]
    scaled = pixels if "v3" in name else getattr(keras.applications, module).preprocess_input(pixels)
    if name == "efficientnet_b0":
        # What Keras builds between its second and third layer when it fetches the weights itself.
        divided = 1 / np.sqrt(np.array([0.229, 0.224, 0.225], np.float32))
        scaled = keras.Model(model.input, model.layers[2].output).predict(scaled, verbose=0)
        # Random weights have mean 0 and variance 1 there, published ones ImageNet's.
        mean = np.array([0.485, 0.456, 0.406], np.float32)
        scaled = (scaled - mean) * divided + mean
        model = keras.Model(model.layers[3].input, model.output)
    output = model.output if layer == "avg_pool" else layer_names(model)[layer].output
    if len(output.shape) == 4:
        output = keras.layers.GlobalAveragePooling2D()(output)
    expected = keras.Model(model.input, output).predict(scaled, verbose=0)
    assert vectors.shape == (4, extractor.width)
    assert_near(vectors, expected, ELSEWHERE)
    again = extractor.set_params(batch_size=3).transform(photos[3::-1])
    assert_near(again, vectors[::-1], any_batch(name))


@pytest.mark.parametrize("n_photos", [tensorflow_engine.WHOLE + 1, 2 * tensorflow_engine.WHOLE + 3])
def test_the_halves_of_a_batch_give_the_vectors_of_one_run_and_of_each_photo_alone(photos, n_photos):
    extractor = Backbone(SMALL, "random")
    pixels = extractor.gather(
        [extractor.prepare(Photo(photos[i % len(photos)].read_bytes())) for i in range(n_photos)]
    )
    pixels += np.arange(n_photos, dtype=np.float32)[:, None, None, None] / 100  # no two photos alike
    network = extractor._function([extractor])
    (vectors,) = network(pixels)
    assert_near(vectors, network._run(pixels)[0], any_batch(SMALL))
    alone = np.concatenate([network(photo[None])[0] for photo in pixels])
    assert vectors.shape == alone.shape == (n_photos, extractor.width)
    assert_near(vectors, alone, any_batch(SMALL))
    assert len(np.unique(vectors, axis=0)) == n_photos


def test_layers_of_one_network_come_out_of_one_run_and_are_those_of_each_alone(photos, tmp_path, runs):
    # conv_pw_6 is in the middle of what the optimiser fuses into one operation for the others.
    layers = ["avg_pool", "conv_pw_11_relu", "conv_pw_6", "conv_dw_3_bn"]
    team = [Backbone(SMALL, "random", layer) for layer in layers]
    other = Backbone("mobilenet_0.25_160", "random")
    table = extract(photos, [*team, other], store=tmp_path)
    whole = [run for run in runs if run[0] == len(photos)]
    assert sorted(whole) == [(len(photos), 1), (len(photos), 4)]
    for extractor in [*team, other]:
        alone = anew(extractor, tmp_path).transform(photos)
        assert_near(table.select(extractor.name), alone, any_batch(SMALL), extractor.name)


def test_a_team_runs_for_those_alone_that_still_need_it(photos, tmp_path, runs):
    first, second = Backbone(SMALL, "random"), Backbone(SMALL, "random", "conv_pw_6_relu")
    extract(photos[:6], [first], store=tmp_path)
    runs.clear()
    table = extract(photos, [Backbone(SMALL, "random"), second], store=tmp_path)
    n_new = len(photos) - 6
    assert (n_new, 2) in runs
    assert (6, 1) in runs
    assert_near(table.select(first.name), anew(first, tmp_path).transform(photos), any_batch(SMALL))


def test_a_kept_network_that_this_tensorflow_cannot_load_is_frozen_anew(photos, tmp_path):
    import tensorflow as tf

    expected = Backbone(SMALL, "random", store=tmp_path).transform(photos[:2])
    store, fingerprint = Store(tmp_path), Backbone(SMALL, "random").fingerprint()
    definition = tf.compat.v1.GraphDef.FromString(load_frozen_graph(store, fingerprint))
    definition.node[-1].op = "OfALaterVersion"
    save_frozen_graph(store, fingerprint, definition.SerializeToString())
    np.testing.assert_array_equal(
        Backbone(SMALL, "random", store=tmp_path).transform(photos[:4])[:2], expected
    )
    mended = tf.compat.v1.GraphDef.FromString(load_frozen_graph(store, fingerprint))
    assert not any(node.op == "OfALaterVersion" for node in mended.node)


def test_layers_that_were_loaded_for_their_widths_are_held_once(photos):
    team = [Backbone(SMALL, "random", layer) for layer in ("conv_pw_6_relu", "conv_pw_11_relu")]
    assert [one.width for one in team] == [128, 128]
    alone = [clone(one).transform(photos[:1]) for one in team]
    together = team[0].vectors_of(team, team[0].gather([team[0].prepare(Photo(photos[0].read_bytes()))]))
    for vectors, those_alone in zip(together, alone, strict=True):
        assert_near(vectors, those_alone, any_batch(SMALL))
    assert team[1]._loaded is None
    np.testing.assert_array_equal(team[1].transform(photos[:1]), alone[1])


def test_networks_of_other_weights_layers_or_precision_never_share_a_place_in_the_store(photos, tmp_path):
    weights = tmp_path / "w.weights.h5"
    build_model(NETWORKS[SMALL], Backbone(SMALL, "random:5").found_weights()).save_weights(weights)
    kinds = [
        Backbone(SMALL, "random"), Backbone(SMALL, "random:1"), Backbone(SMALL, weights),
        Backbone(SMALL, "random", parity="retrain"), Backbone("mobilenet_0.25_160", "random"),
        InceptionV3("random"), InceptionV3("random:1"),
    ]  # fmt: skip
    store = Store(tmp_path / "store")
    assert len({kind.fingerprint() for kind in kinds}) == len(kinds)
    assert len({store.section(kind.name, kind.fingerprint(), 256).name for kind in kinds}) == len(kinds)
    np.testing.assert_array_equal(
        kinds[2].transform(photos[:2]), Backbone(SMALL, "random:5").transform(photos[:2])
    )


def test_an_imagenet_file_with_its_head_gives_the_same_vectors_as_one_without(photos, tmp_path):
    network = NETWORKS[SMALL]
    whole = keras.applications.MobileNet(weights=None, input_shape=(128, 128, 3), alpha=0.25)
    whole.save_weights(tmp_path / "with_head.weights.h5")
    headless = build_model(network, Backbone(SMALL, "random").found_weights())
    headless.set_weights(whole.get_weights()[: len(headless.weights)])
    headless.save_weights(tmp_path / "without.weights.h5")
    a, b = (
        Backbone(SMALL, tmp_path / f).transform(photos[:2])
        for f in ("with_head.weights.h5", "without.weights.h5")
    )
    np.testing.assert_array_equal(a, b)


def test_the_weights_of_another_network_are_named(tmp_path, photos):
    model = build_model(
        NETWORKS["mobilenet_0.50_160"], Backbone("mobilenet_0.50_160", "random").found_weights()
    )
    model.save_weights(tmp_path / "w.weights.h5")
    with pytest.raises(
        BottleheadError, match=r"not hold the weights of mobilenet_0\.25_128: .*those of mobilenet_0\.50"
    ):
        Backbone(SMALL, tmp_path / "w.weights.h5").transform(photos[:1])


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
def test_bfloat16_changes_vectors_a_little_and_not_with_the_batch(photos):
    half = Backbone(SMALL, "random", precision="bfloat16")
    exact, vectors = Backbone(SMALL, "random").transform(photos), half.transform(photos)
    least, most = BFLOAT16_AWAY_RANDOM
    assert least < distances(vectors, exact).mean() < most
    assert_near(half.set_params(batch_size=3).transform(photos), vectors, BFLOAT16)


# scikit-learn's parametrize_with_checks gives nothing for estimators whose input is no matrix of numbers: all
# checks but these fit or transform such a matrix. These concern arguments, clones and tags, and hold.
CHECKS = [
    "check_estimator_cloneable",
    "check_estimator_repr",
    "check_estimator_tags_renamed",
    "check_get_params_invariance",
    "check_mixin_order",
    "check_no_attributes_set_in_init",
    "check_parameters_default_constructible",
    "check_set_params",
    "check_valid_tag_types",
]


@pytest.mark.parametrize("check", CHECKS)
@pytest.mark.parametrize("extractor", [Backbone(SMALL), InceptionV3(), FrozenGraph("g.pb"), GLCM()], ids=repr)
def test_scikit_learn_common_checks(extractor, check):
    getattr(estimator_checks, check)(type(extractor).__name__, extractor)


def test_a_union_of_layers_and_named_output(photos):
    union = FeatureUnion(
        [("end", Backbone(SMALL, "random")), ("middle", Backbone(SMALL, "random", "conv_pw_6_relu"))]
    )
    frame = union.set_output(transform="pandas").fit_transform(photos[:2])
    assert isinstance(frame, pd.DataFrame)
    assert frame.shape == (2, 256 + 128)
    assert frame.columns[0] == f"end__{SMALL}_0000"


def test_workers_get_arguments_and_no_network(photos):
    import pickle

    extractor = InceptionV3("random", "mixed0")
    loaded = Backbone(SMALL, "random")
    expected = loaded.transform(photos[:4])
    assert len(pickle.dumps(loaded)) < 1000
    assert pickle.loads(pickle.dumps(extractor)).fingerprint() == extractor.fingerprint()  # noqa: S301
    parts = Parallel(n_jobs=2, backend="loky")(delayed(loaded.transform)(photos[i : i + 2]) for i in (0, 2))
    assert_near(np.vstack(parts), expected, any_batch(SMALL))


def test_a_grid_search_with_a_store_runs_the_network_once(photos, tmp_path, runs):
    extractor = Backbone(SMALL, "random", store=tmp_path)
    y = [path.parent.name in ("daisy", "roses") for path in photos]
    pipeline = make_pipeline(extractor, LogisticRegression(max_iter=50))
    search = GridSearchCV(pipeline, {"logisticregression__C": [0.1, 1.0]}, cv=2).fit(photos, y)
    assert search.predict(photos).shape == (len(photos),)
    images = [n for n, _ in runs]
    # Every photo once, and the trial of the network: the golden image alone, and between two others.
    assert sum(images) == len(photos) + 4
