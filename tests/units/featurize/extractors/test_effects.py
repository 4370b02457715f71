"""A graph that does more than compute is refused before anything of it runs."""

import pytest

from featurize.errors import WeightsError
from featurize.networks.graph_extractor import FrozenGraph
from featurize.networks.graph_file import refuse_side_effects

pytestmark = pytest.mark.tensorflow


@pytest.fixture(scope="module")
def tf():
    import tensorflow

    return tensorflow


def defined(tf, build):
    """The GraphDef of ``build(x)``, its vector called pooled and its input photo."""
    with tf.Graph().as_default() as graph:
        x = tf.compat.v1.placeholder(tf.float32, [None, 8, 8, 3], name="photo")
        tf.identity(build(x), name="pooled")
    return graph.as_graph_def()


def mean(tf, x):
    return tf.reduce_mean(x, [1, 2])


def test_a_file_that_a_graph_would_write_is_never_written(tf, tmp_path):
    written = tmp_path / "written"

    def build(x):
        writing = tf.io.write_file(str(written), "text", name="writing")
        with tf.control_dependencies([writing]):
            return mean(tf, x)

    path = tmp_path / "g.pb"
    path.write_bytes(defined(tf, build).SerializeToString())
    graph = FrozenGraph(path, output="pooled", mean=0, std=1)
    with pytest.raises(WeightsError, match=r"g\.pb is not used.*writing is the operation WriteFile"):
        graph.width  # noqa: B018
    assert not written.exists()


def in_a_function(tf, x):
    @tf.function(autograph=False)
    def inner(y):
        return tf.py_function(lambda z: z, [y], tf.float32)

    return inner(mean(tf, x))


@pytest.mark.parametrize(
    ("build", "op"),
    [
        (lambda tf, x: mean(tf, x) + tf.io.decode_raw(tf.io.read_file("/etc/hostname"), tf.float32)[:3], "ReadFile"),
        (lambda tf, x: tf.compat.v1.py_func(lambda y: y, [mean(tf, x)], tf.float32, stateful=False), "PyFuncStateless"),
        (lambda tf, x: tf.raw_ops.DebugIdentity(input=mean(tf, x), debug_urls=["file:///tmp/x"]), "DebugIdentity"),
        (lambda tf, x: tf.nn.dropout(mean(tf, x), 0.5), "RandomUniform"),
        (lambda tf, x: tf.compat.v1.Print(mean(tf, x), ["text"]), "Print"),
        (in_a_function, "EagerPyFunc"),
        (lambda tf, x: tf.while_loop(lambda i: i < 2, lambda i: [i + tf.random.uniform([])], [mean(tf, x)[0, 0]]),
         "RandomUniform"),
    ],
)  # fmt: skip
def test_an_operation_that_does_more_is_named(tf, build, op):
    definition = defined(tf, lambda x: build(tf, x))
    with pytest.raises(WeightsError, match=f"is the operation {op}"):
        refuse_side_effects(definition, ["pooled:0"], "photo:0")


def test_variables_without_values_have_a_message_of_their_own(tf):
    def build(x):
        kernel = tf.compat.v1.get_variable("kernel", [3, 4], use_resource=False)
        return tf.matmul(mean(tf, x), kernel)

    with pytest.raises(WeightsError, match=r"variables are not frozen, such as kernel.*freeze_graph"):
        refuse_side_effects(defined(tf, build), ["pooled:0"], "photo:0")


def test_what_does_not_run_is_not_looked_at(tf):
    """What lies behind the input, or beside the way to the output, is cut off."""

    def build(x):
        tf.random.uniform([3], name="beside")
        noisy = tf.add(x, tf.random.uniform([]), name="entry")
        return mean(tf, tf.debugging.check_numerics(noisy, "not finite"))

    definition = defined(tf, build)
    refuse_side_effects(definition, ["pooled"], "entry:0")
    for entry in ("photo:0", None):
        with pytest.raises(WeightsError, match="RandomUniform"):
            refuse_side_effects(definition, ["pooled"], entry)


def test_a_node_that_only_orders_others_runs_also_behind_the_input(tf):
    def build(x):
        writing = tf.io.write_file("/nowhere/x", "text")
        with tf.control_dependencies([writing]):
            entry = tf.identity(x, name="entry")
        with tf.control_dependencies([entry]):
            return mean(tf, tf.constant(0.0, shape=[1, 2, 2, 3])) + mean(tf, entry)

    with pytest.raises(WeightsError, match="WriteFile"):
        refuse_side_effects(defined(tf, build), ["pooled"], "entry:0")


def test_known_graphs_pass(tf, assets):
    for name, entry, output in [
        ("mobilenet_v1_0.25_128.pb", "input:0", "MobilenetV1/Logits/AvgPool_1a/AvgPool:0"),
        ("poets_retrained_graph.pb", "input:0", "final_result:0"),
    ]:
        definition = tf.compat.v1.GraphDef.FromString((assets / "weights" / name).read_bytes())
        refuse_side_effects(definition, [output], entry)
