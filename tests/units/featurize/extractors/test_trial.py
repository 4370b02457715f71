"""A network is tried when it was frozen: finite numbers, one vector per photo, none that depends on the others."""

import numpy as np
import pytest
from PIL import Image
from tolerances import ELSEWHERE, assert_near

from featurize import Store
from featurize.errors import WeightsError
from featurize.extraction.run import run_extraction
from featurize.networks.graph_extractor import FrozenGraph
from featurize.photos.source import list_source

pytestmark = pytest.mark.tensorflow


@pytest.fixture(scope="module")
def tf():
    import tensorflow

    return tensorflow


@pytest.fixture
def graph_of(tf, tmp_path):
    """A FrozenGraph that computes ``build(mean colour)``."""

    def make(build):
        with tf.Graph().as_default() as graph:
            x = tf.compat.v1.placeholder(tf.float32, [None, 8, 8, 3], name="photo")
            tf.identity(build(x), name="pooled")
        path = tmp_path / "g.pb"
        path.write_bytes(graph.as_graph_def().SerializeToString())
        return FrozenGraph(path, output="pooled", mean=0, std=1)

    return make


def vectors(tf, x):
    return tf.reduce_mean(x, [1, 2])


def test_numbers_that_are_not_finite_are_refused(tf, graph_of):
    graph = graph_of(lambda x: tf.math.log(vectors(tf, x) - 1000.0))
    with pytest.raises(WeightsError, match="g:pooled gives numbers that are not finite"):
        graph.width  # noqa: B018


def test_a_network_that_has_no_number_for_a_black_photo_makes_a_reject_of_it(tf, graph_of, tmp_path):
    graph = graph_of(lambda x: 1 / vectors(tf, x))
    for value in (0, 100, 200):
        Image.new("RGB", (9, 9), (value,) * 3).save(tmp_path / f"{value}.png")
    found = list_source([tmp_path / "0.png", tmp_path / "100.png", tmp_path / "200.png"])
    result = run_extraction(found, graph, store=tmp_path / "store")
    assert_near(result.table.vectors["g:pooled"], [[1 / 100] * 3, [1 / 200] * 3], ELSEWHERE)
    ((image, reason),) = result.rejects
    assert image.endswith("0.png") and reason.startswith("g:pooled gave numbers that are not finite")


def test_another_number_of_vectors_than_of_photos_is_refused(tf, graph_of):
    graph = graph_of(lambda x: tf.reduce_mean(x, [0, 1, 2]))
    with pytest.raises(WeightsError, match="gives 3 vectors for a batch of 1"):
        graph.width  # noqa: B018


@pytest.mark.parametrize("share", [1.0, 0.01])
def test_a_network_that_mixes_the_photos_of_a_batch_is_refused_every_time(tf, graph_of, tmp_path, share):
    def build(x):
        y = vectors(tf, x)
        return y - share * tf.reduce_mean(y, 0, keepdims=True)

    graph = graph_of(build)
    for _ in range(2):  # nothing of it was kept that would be believed later
        graph.attach(Store(tmp_path / "store"))
        with pytest.raises(WeightsError, match="mixes the photos of a batch"):
            graph.width  # noqa: B018


def test_a_network_that_takes_one_photo_only_says_so(tf, graph_of):
    graph = graph_of(lambda x: vectors(tf, tf.ensure_shape(x, [1, 8, 8, 3])))
    with pytest.raises(WeightsError, match=r"g:pooled cannot be run.*any number of photos"):
        graph.width  # noqa: B018


def test_a_network_whose_vector_of_the_test_image_is_zero_passes(tf, graph_of):
    graph = graph_of(lambda x: tf.nn.relu(vectors(tf, x) - 1000.0))
    assert not graph.transform([np.zeros((8, 8, 3), np.uint8)]).any()


def test_a_network_that_fails_on_a_photo_later_is_an_error_with_a_hint(tf, graph_of):
    def build(x):
        known = tf.compat.v1.Assert(tf.reduce_all(tf.not_equal(vectors(tf, x), 77.0)), ["seventy-seven"])
        with tf.control_dependencies([known]):
            return vectors(tf, x)

    graph = graph_of(build)
    np.testing.assert_array_equal(graph.transform([np.full((8, 8, 3), 76, np.uint8)]), [[76, 76, 76]])
    with pytest.raises(WeightsError, match=r"g:pooled cannot be run.*seventy-seven"):
        graph.transform([np.full((8, 8, 3), 77, np.uint8)])
