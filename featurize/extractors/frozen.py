"""A network as one frozen, optimised function: where tensorflow is imported and run.

Variables become constants, batch norm is folded into the convolutions, everything behind the output is cut off.
The result is plain bytes (a GraphDef) that load in a second, where building from Keras takes six.
"""

import os
import re
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from featurize import collector
from featurize.extractors.effects import check_effects
from featurize.extractors.joined import join_graphs
from featurize.terminal import log

INPUT, OUTPUT = "x", "Identity"
PROCESSOR = Path("/proc/cpuinfo")
# Parts of a batch run at the same time: where one has work for a single core, the other goes on.
PARTS = 2
WHOLE = 8  # images that are not worth parting
EVERYTHING = re.compile(b"")
# Up to 2.19 or so TensorFlow writes these lines at any log level, whenever it optimises a graph.
LOG_LINES = re.compile(rb"[IWE]\d{4} |WARNING: All log messages before absl::InitializeLog")
_importing = threading.Lock()
_silencing = threading.Lock()


def import_tensorflow() -> Any:
    """The tensorflow module, imported without its start-up chatter."""
    with _importing:
        if "tensorflow" not in sys.modules:
            os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
            with _silent_stderr(EVERYTHING), collector.paused():
                import tensorflow

                tensorflow.get_logger().setLevel("ERROR")
                # The first look for graphics cards has its own chatter, and so has the first session.
                tensorflow.config.list_physical_devices("GPU")
                with tensorflow.Graph().as_default(), tensorflow.compat.v1.Session() as session:
                    session.run(tensorflow.constant(0))
    return sys.modules["tensorflow"]


@contextmanager
def _silent_stderr(chatter: re.Pattern[bytes] = LOG_LINES) -> Iterator[None]:
    """Hold back what is written to the terminal, and then show what is not `chatter`; show all when the block fails.

    TensorFlow's libraries write some lines before they read their own log level, or without reading it. Other threads
    may have a message of their own meanwhile.
    """
    # Two at a time would restore each other's file instead of the terminal.
    with _silencing, tempfile.TemporaryFile() as held:
        sys.stderr.flush()
        terminal = os.dup(2)
        os.dup2(held.fileno(), 2)
        failed = True
        try:
            yield
            failed = False
        finally:
            sys.stderr.flush()
            os.dup2(terminal, 2)
            held.seek(0)
            with open(terminal, "wb") as stream:
                stream.writelines(line for line in held if failed or not chatter.match(line))


def has_bfloat16() -> bool:
    """Whether this processor computes in bfloat16; without it, TensorFlow would only imitate it, slowly.

    Known on Linux alone, for processors of the x86 family: Intel since Cooper Lake, AMD since Zen 4.
    """
    try:
        flags = PROCESSOR.read_text().split()
    except OSError:
        return False
    return not {"avx512_bf16", "amx_bf16"}.isdisjoint(flags)


def decode_jpeg(data: bytes) -> np.ndarray:
    """A JPEG as TensorFlow 1 decoded it by default, uint8 of shape (height, width, 3).

    Raises
    ------
    ValueError
        If TensorFlow cannot decode it.
    """
    tf = import_tensorflow()
    try:
        return tf.io.decode_jpeg(data, channels=3).numpy()
    except tf.errors.InvalidArgumentError as error:
        raise ValueError(f"TensorFlow cannot decode it: {str(error.message).splitlines()[0]}") from error


class FrozenFunction:
    """Batches of pixels in, vectors out; several outputs of one network come out of one run.

    Parameters
    ----------
    graphs : sequence of bytes
        What `freeze` made, one for each output.
    precision : {"float32", "bfloat16"}
        That they were frozen in.

    Attributes
    ----------
    widths : list of int
        How many numbers each output has per image.
    """

    def __init__(self, graphs: Sequence[bytes], precision: str):
        tf = import_tensorflow()
        definitions = [tf.compat.v1.GraphDef.FromString(graph) for graph in graphs]
        for definition in definitions:
            check_effects(definition, OUTPUT)
        definition, outputs = join_graphs(definitions, INPUT, OUTPUT)
        # A session runs the graph as it stands; to make a tf.function of it copies its 40 MB twice, which takes 1.5 s.
        with tf.Graph().as_default() as graph:
            ends = tf.import_graph_def(definition, name="", return_elements=[f"{end}:0" for end in outputs])
        config = tf.compat.v1.ConfigProto()
        # Frozen graphs are optimised already. To try again takes a second of a new process, for nothing in float32; in
        # bfloat16 it makes a network a fifth faster.
        config.graph_options.rewrite_options.disable_meta_optimizer = precision == "float32"
        session = tf.compat.v1.Session(graph=graph, config=config)
        self._run = session.make_callable(ends, feed_list=[graph.get_tensor_by_name(f"{INPUT}:0")])
        self.widths = [int(end.shape[-1]) for end in ends]
        self._pool = ThreadPoolExecutor(PARTS, thread_name_prefix="network")

    def __call__(self, pixels: np.ndarray) -> list[np.ndarray]:
        """float32 (n_images, height, width, 3), scaled as the network wants it, to float32 (n_images, width)."""
        if len(pixels) <= WHOLE:
            return self._run(pixels)
        parts = np.array_split(pixels, PARTS)
        return [np.concatenate(matrices) for matrices in zip(*self._pool.map(self._run, parts), strict=True)]


def freeze_model(model: Any, output: Any, precision: str) -> bytes:
    """A Keras model up to one of its tensors, pooled over its area, as an optimised GraphDef.

    Parameters
    ----------
    model : keras.Model
        With its weights.
    output : KerasTensor
    precision : {"float32", "bfloat16"}
        bfloat16 lets the optimiser run convolutions and products in 16 bits.
    """
    tf = import_tensorflow()
    import keras
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    if len(output.shape) == 4:
        output = keras.layers.GlobalAveragePooling2D()(output)
    elif len(output.shape) != 2:
        output = keras.layers.Flatten()(output)
    cut = keras.Model(model.input, output)
    _warn_of_gaps(cut)
    spec = tf.TensorSpec([None, *model.input.shape[1:]], tf.float32, name=INPUT)
    # Keras' own predict wraps the call in an Identity too; the names INPUT and OUTPUT follow from this line.
    traced = tf.function(lambda x: cut(x, training=False), input_signature=[spec]).get_concrete_function()
    with _silent_stderr():
        frozen = convert_variables_to_constants_v2(traced)
    return _optimised(frozen.graph.as_graph_def(), precision)


def _warn_of_gaps(model: Any) -> None:
    """Say so when weights on the way to the output were never filled in: the vectors would be too poor."""
    empty = [v.path for v in model.weights if len(v.shape) > 1 and not np.any(v.numpy())]
    if empty:
        log.warning(
            "%d of the kernels in these weights hold nothing but zeros (the first is %s): the file is incomplete for "
            "this layer; read an earlier layer, such as inception_v3:mixed8, or use other weights",
            len(empty), empty[0],
        )  # fmt: skip


def freeze_graph(data: bytes, tensors: tuple[str, str], side: int, precision: str) -> bytes:
    """The part of a frozen graph between two tensors, pooled over its area, as an optimised GraphDef.

    Parameters
    ----------
    data : bytes
        A GraphDef.
    tensors : (str, str)
        Where pixels enter and where the vector is read, as ``name:number``.
    side : int
        Of the input, in pixels.
    precision : {"float32", "bfloat16"}

    Raises
    ------
    ValueError
        If TensorFlow cannot run the graph, or the output is no vector.
    WeightsError
        If running it would do more than compute; see `featurize.extractors.effects`.
    """
    tf = import_tensorflow()
    definition = tf.compat.v1.GraphDef.FromString(data)
    # First of all: to import and to optimise a graph runs parts of it.
    check_effects(definition, tensors[1], tensors[0])
    _free_the_batch(definition)
    with tf.Graph().as_default() as graph:
        x = tf.compat.v1.placeholder(tf.float32, [None, side, side, 3], name=INPUT)
        (y,) = tf.import_graph_def(
            definition, input_map={tensors[0]: x}, return_elements=[tensors[1]], name="graph"
        )
        if y.shape.rank is None or None in y.shape.as_list()[1:] or not y.dtype.is_floating:
            raise ValueError(
                f"the tensor {tensors[1]} is {y.dtype.name} of shape {y.shape}, which is no vector"
            )
        if y.shape.rank == 4:
            y = tf.reduce_mean(y, axis=[1, 2])
        tf.identity(tf.reshape(y, [-1, int(np.prod(y.shape.as_list()[1:]))]), name=OUTPUT)
        needed = tf.compat.v1.graph_util.extract_sub_graph(graph.as_graph_def(), [OUTPUT])
    if not any(node.name == INPUT for node in needed.node):
        raise ValueError(f"the tensor {tensors[1]} does not depend on {tensors[0]}")
    return _optimised(needed, precision)


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


def _optimised(definition: Any, precision: str) -> bytes:
    """`definition` after TensorFlow's own graph optimiser: folded, fused, and in bfloat16 where asked."""
    tf = import_tensorflow()
    from tensorflow.core.protobuf import config_pb2, rewriter_config_pb2
    from tensorflow.python.grappler import tf_optimizer
    from tensorflow.python.training.saver import export_meta_graph

    graph = tf.Graph()
    with graph.as_default():
        tf.import_graph_def(definition, name="")
    meta = export_meta_graph(graph_def=graph.as_graph_def(), graph=graph)
    meta.collection_def["train_op"].node_list.value.extend([INPUT, OUTPUT])
    config = config_pb2.ConfigProto()
    rewrite = config.graph_options.rewrite_options
    rewrite.min_graph_nodes = -1
    if precision == "bfloat16":
        rewrite.auto_mixed_precision_onednn_bfloat16 = rewriter_config_pb2.RewriterConfig.ON
    with _silent_stderr():
        return tf_optimizer.OptimizeGraph(config, meta).SerializeToString()
