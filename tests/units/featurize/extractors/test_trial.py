"""Graphs of anybody: refused before they run if they do more than compute, and when tried if they are no extractor."""

import numpy as np
import pytest

from featurize import Store
from featurize.errors import WeightsError
from featurize.networks.graph_extractor import FrozenGraph
from featurize.networks.graph_file import refuse_side_effects

pytestmark = pytest.mark.tensorflow


@pytest.fixture(scope="module")
def tf():
    import tensorflow

    return tensorflow


def mean(tf, x):
    return tf.reduce_mean(x, [1, 2])


def defined(tf, build):
    """The GraphDef of ``build(tf, x)``, its vector called pooled and its input photo."""
    with tf.Graph().as_default() as graph:
        x = tf.compat.v1.placeholder(tf.float32, [None, 8, 8, 3], name="photo")
        tf.identity(build(tf, x), name="pooled")
    return graph.as_graph_def()


@pytest.fixture
def graph_of(tf, tmp_path):
    def make(build):
        path = tmp_path / "g.pb"
        path.write_bytes(defined(tf, build).SerializeToString())
        return FrozenGraph(path, output="pooled", mean=0, std=1)

    return make


def in_a_function(tf, x):
    @tf.function(autograph=False)
    def inner(y):
        return tf.py_function(lambda z: z, [y], tf.float32)

    return inner(mean(tf, x))


def behind_the_input(tf, x):
    """Writing orders nodes, and nothing else."""
    with tf.control_dependencies([tf.io.write_file("/nowhere/x", "text")]):
        entry = tf.identity(x, name="entry")
    with tf.control_dependencies([entry]):
        return mean(tf, tf.constant(0.0, shape=[1, 2, 2, 3])) + mean(tf, entry)


@pytest.mark.parametrize(("build", "op"), [
    (lambda tf, x: mean(tf, x) + tf.io.decode_raw(tf.io.read_file("/etc/hostname"), tf.float32)[:3], "ReadFile"),
    (lambda tf, x: tf.compat.v1.py_func(lambda y: y, [mean(tf, x)], tf.float32, stateful=False), "PyFuncStateless"),
    (lambda tf, x: tf.raw_ops.DebugIdentity(input=mean(tf, x), debug_urls=["file:///tmp/x"]), "DebugIdentity"),
    (lambda tf, x: tf.nn.dropout(mean(tf, x), 0.5), "RandomUniform"),
    (lambda tf, x: tf.compat.v1.Print(mean(tf, x), ["text"]), "Print"),
    (in_a_function, "EagerPyFunc"),
    (lambda tf, x: tf.while_loop(lambda i: i < 2, lambda i: [i + tf.random.uniform([])], [mean(tf, x)[0, 0]]),
     "RandomUniform"),
    (behind_the_input, "WriteFile"),
])  # fmt: skip
def test_an_operation_that_does_more_than_compute_is_named(tf, build, op):
    entry = "entry:0" if build is behind_the_input else "photo:0"
    with pytest.raises(WeightsError, match=f"is the operation {op}"):
        refuse_side_effects(defined(tf, build), ["pooled:0"], entry)


def test_a_file_that_a_graph_would_write_is_never_written(graph_of, tmp_path):
    def build(tf, x):
        with tf.control_dependencies([tf.io.write_file(str(tmp_path / "written"), "text", name="writing")]):
            return mean(tf, x)

    with pytest.raises(WeightsError, match=r"g\.pb is not used.*writing is the operation WriteFile"):
        graph_of(build).width  # noqa: B018
    assert not (tmp_path / "written").exists()


def test_what_does_not_run_is_not_looked_at(tf):
    def build(tf, x):
        tf.random.uniform([3], name="beside")
        noisy = tf.add(x, tf.random.uniform([]), name="entry")
        return mean(tf, tf.debugging.check_numerics(noisy, "not finite"))

    definition = defined(tf, build)
    refuse_side_effects(definition, ["pooled"], "entry:0")
    for entry in ("photo:0", None):
        with pytest.raises(WeightsError, match="RandomUniform"):
            refuse_side_effects(definition, ["pooled"], entry)


@pytest.mark.parametrize(("build", "message"), [
    (lambda tf, x: tf.reduce_mean(x, [0, 1, 2]), "gives 3 vectors for a batch of 1"),
    (lambda tf, x: mean(tf, x) - 0.01 * tf.reduce_mean(mean(tf, x), 0, keepdims=True), "mixes the photos"),
    (lambda tf, x: mean(tf, tf.ensure_shape(x, [1, 8, 8, 3])), r"g:pooled cannot be run.*any number of photos"),
])  # fmt: skip
def test_what_gives_no_vector_to_each_photo_is_refused_every_time(graph_of, tmp_path, build, message):
    graph = graph_of(build)
    for _ in range(2):  # nothing of it was kept that would be believed later
        graph.attach(Store(tmp_path / "store"))
        with pytest.raises(WeightsError, match=message):
            graph.width  # noqa: B018


def test_a_network_may_give_zeros_and_one_that_fails_on_a_photo_later_is_an_error(graph_of):
    zero = graph_of(lambda tf, x: tf.nn.relu(mean(tf, x) - 1000.0))
    # Also for the test image, which is right.
    assert not zero.transform([np.zeros((8, 8, 3), np.uint8)]).any()

    def build(tf, x):
        known = tf.compat.v1.Assert(tf.reduce_all(tf.not_equal(mean(tf, x), 77.0)), ["seventy-seven"])
        with tf.control_dependencies([known]):
            return mean(tf, x)

    graph = graph_of(build)
    np.testing.assert_array_equal(graph.transform([np.full((8, 8, 3), 76, np.uint8)]), [[76, 76, 76]])
    with pytest.raises(WeightsError, match=r"g:pooled cannot be run.*seventy-seven"):
        graph.transform([np.full((8, 8, 3), 77, np.uint8)])
