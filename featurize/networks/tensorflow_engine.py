"""TensorFlow as the engine that is always there, and how it freezes networks.

Variables become constants, batch norm is folded into the convolutions, everything behind the outputs is cut off.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from featurize.errors import UsageError, WeightsError, message_of
from featurize.networks.engines import (
    INPUT,
    Function,
    graphics_cards,
    import_tensorflow,
    output_names,
    session_config,
    silent_stderr,
)
from featurize.networks.graph_file import LARGEST, refuse_side_effects

PROCESSOR = Path("/proc/cpuinfo")
# Parts of a batch run at the same time: where one has work for a single core, the other goes on.
PARTS = 2
WHOLE = 8  # images that are not worth parting


def load(graph: bytes, n_outputs: int, precision: str) -> Function:
    """The graph as a function; UsageError if TensorFlow cannot run it, WeightsError if it does more than compute."""
    try:
        return FrozenFunction(graph, n_outputs, precision)
    except WeightsError:
        raise
    except Exception as error:
        # protobuf and TensorFlow have kinds of their own for each thing that they cannot read.
        raise UsageError(
            f"TensorFlow cannot run this network: {message_of(error)}",
            "read another tensor of it, or use another network",
        ) from error


class FrozenFunction:
    """A `Function` of a graph that `freeze_model` or `freeze_graph` has frozen."""

    def __init__(self, graph: bytes, n_outputs: int, precision: str):
        tf = import_tensorflow()
        definition = tf.compat.v1.GraphDef.FromString(graph)
        outputs = output_names(n_outputs)
        refuse_side_effects(definition, outputs)
        # A session runs the graph as it stands; to make a tf.function of it copies its 40 MB twice, which takes 1.5 s.
        with tf.Graph().as_default() as imported:
            ends = tf.import_graph_def(definition, name="", return_elements=[f"{end}:0" for end in outputs])
        config = session_config(tf)
        # Frozen graphs are optimised already. To try again takes a second of a new process, for nothing in float32; in
        # bfloat16 it makes a network a fifth faster.
        config.graph_options.rewrite_options.disable_meta_optimizer = precision == "float32"
        session = tf.compat.v1.Session(graph=imported, config=config)
        self._run = session.make_callable(ends, feed_list=[imported.get_tensor_by_name(f"{INPUT}:0")])
        self.widths = [int(end.shape[-1]) for end in ends]
        self.device = ", ".join(graphics_cards())
        self._parts = 1 if self.device else PARTS  # a card works on a whole batch at once
        self._pool = ThreadPoolExecutor(self._parts, thread_name_prefix="network")

    def __call__(self, pixels: np.ndarray) -> list[np.ndarray]:
        if len(pixels) <= WHOLE:
            return self._run(pixels)
        parts = np.array_split(pixels, self._parts)
        return [np.concatenate(matrices) for matrices in zip(*self._pool.map(self._run, parts), strict=True)]


def the_only(model: Any, end: str, hint: str) -> Any:
    """The tensor of a Keras model's one ``"input"`` or ``"output"``; UsageError if it has none or several.

    Of its own graph: ``model.output`` is what it gave where it was called, and a Sequential may never have been called.
    """
    tensors = getattr(model, f"{end}s", None) or []
    if len(tensors) != 1:
        raise UsageError(f"the Keras model {model.name} has {len(tensors) or 'no'} {end}s, not one", hint)
    return tensors[0]


def freeze_model(
    model: Any, ends: Sequence[tuple[Any, str]], precision: str, side: int | None = None
) -> bytes:
    """A Keras model, with its weights, up to some of its tensors, as one optimised GraphDef.

    Each end is a tensor and how it is pooled over its area: ``"avg"`` or ``"max"``. `side` is that of the photos where
    the model leaves it open.
    """
    tf = import_tensorflow()
    import keras
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    def pooled(tensor: Any, pool: str) -> Any:
        if len(tensor.shape) == 4:
            layer = "GlobalMaxPooling2D" if pool == "max" else "GlobalAveragePooling2D"
            return getattr(keras.layers, layer)()(tensor)
        return tensor if len(tensor.shape) == 2 else keras.layers.Flatten()(tensor)

    photo = the_only(model, "input", "give a model of one RGB photo")
    cut = keras.Model(photo, [pooled(*end) for end in ends])
    shape = (side, side, 3) if side else photo.shape[1:]
    spec = tf.TensorSpec([None, *shape], tf.float32, name=INPUT)
    # The names INPUT, OUTPUT, OUTPUT_1, … follow from this line.
    traced = tf.function(lambda x: cut(x, training=False), input_signature=[spec]).get_concrete_function()
    with silent_stderr():
        frozen = convert_variables_to_constants_v2(traced)
    return _optimised(frozen.graph.as_graph_def(), len(ends), precision)


def freeze_graph(data: bytes, entry: str, ends: Sequence[str], side: int, precision: str) -> bytes:
    """A GraphDef from the tensor `entry` (a square of `side` pixels) to `ends`, pooled, as one optimised GraphDef.

    ValueError if TensorFlow cannot run it or an end is no vector, WeightsError if running it does more than compute.
    """
    tf = import_tensorflow()
    definition = tf.compat.v1.GraphDef.FromString(data)
    # First of all: to import and to optimise a graph runs parts of it.
    refuse_side_effects(definition, ends, entry)
    _free_the_batch(definition)
    outputs = output_names(len(ends))
    with tf.Graph().as_default() as graph:
        x = tf.compat.v1.placeholder(tf.float32, [None, side, side, 3], name=INPUT)
        tensors = tf.import_graph_def(
            definition, input_map={entry: x}, return_elements=list(ends), name="graph"
        )
        for operation in graph.get_operations():
            if any((y.shape.num_elements() or 0) > LARGEST for y in operation.outputs):
                raise ValueError(f"{operation.name} ({operation.type}) makes more than {LARGEST:,} numbers")
        for end, y, output in zip(ends, tensors, outputs, strict=True):
            if y.shape.rank is None or None in y.shape.as_list()[1:] or not y.dtype.is_floating:
                raise ValueError(f"the tensor {end} is {y.dtype.name} of shape {y.shape}, which is no vector")
            if y.shape.rank == 4:
                y = tf.reduce_mean(y, axis=[1, 2])
            tf.identity(tf.reshape(y, [-1, int(np.prod(y.shape.as_list()[1:]))]), name=output)
        whole = graph.as_graph_def()
    extract = tf.compat.v1.graph_util.extract_sub_graph
    for end, output in zip(ends, outputs, strict=True):
        if not any(node.name == INPUT for node in extract(whole, [output]).node):
            raise ValueError(f"the tensor {end} does not depend on {entry}")
    return _optimised(extract(whole, outputs), len(ends), precision)


def _free_the_batch(definition: Any) -> None:
    """Old graphs reshape to one row, because they saw one image at a time; here a batch has any number."""
    tf = import_tensorflow()
    constants = {node.name: node for node in definition.node if node.op == "Const"}
    for node in definition.node:
        shape = constants.get(node.input[1]) if node.op == "Reshape" else None
        if shape is not None:
            values = tf.make_ndarray(shape.attr["value"].tensor).copy()
            if values.size > 1 and values[0] == 1 and (values[1:] > 0).all():
                values[0] = -1
                shape.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(values))


def _optimised(definition: Any, n_outputs: int, precision: str) -> bytes:
    """`definition` after TensorFlow's own graph optimiser: folded, fused, convolutions in bfloat16 where asked."""
    tf = import_tensorflow()
    from tensorflow.core.protobuf import config_pb2, rewriter_config_pb2
    from tensorflow.python.grappler import tf_optimizer
    from tensorflow.python.training.saver import export_meta_graph

    graph = tf.Graph()
    with graph.as_default():
        tf.import_graph_def(definition, name="")
    meta = export_meta_graph(graph_def=graph.as_graph_def(), graph=graph)
    meta.collection_def["train_op"].node_list.value.extend([INPUT, *output_names(n_outputs)])
    config = config_pb2.ConfigProto()
    rewrite = config.graph_options.rewrite_options
    rewrite.min_graph_nodes = -1
    if precision == "bfloat16":
        rewrite.auto_mixed_precision_onednn_bfloat16 = rewriter_config_pb2.RewriterConfig.ON
    with silent_stderr():
        return tf_optimizer.OptimizeGraph(config, meta).SerializeToString()


def has_bfloat16() -> bool:
    """Whether this processor is known to compute in bfloat16: on Linux, Intel since Cooper Lake, AMD since Zen 4."""
    try:
        flags = PROCESSOR.read_text().split()
    except OSError:
        return False
    return not {"avx512_bf16", "amx_bf16"}.isdisjoint(flags)


def decode_jpeg(data: bytes) -> np.ndarray:
    """A JPEG as TensorFlow 1 decoded it by default, uint8 of shape (height, width, 3); ValueError if it cannot."""
    tf = import_tensorflow()
    try:
        return tf.io.decode_jpeg(data, channels=3).numpy()
    except tf.errors.InvalidArgumentError as error:
        raise ValueError(f"TensorFlow cannot decode it: {str(error.message).splitlines()[0]}") from error
