"""A network as one frozen, optimised function: the only module that imports tensorflow.

Variables become constants, batch norm is folded into the convolutions, everything behind the chosen layer is
cut off. The result is plain bytes (a GraphDef) that load in a second, where building from Keras takes six.
"""

import os
import re
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from featurize.errors import UsageError, WeightsError

INPUT, OUTPUT = "x", "Identity"


def import_tensorflow() -> Any:
    """The tensorflow module, imported without its start-up chatter."""
    if "tensorflow" not in sys.modules:
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
        with _silent_stderr():
            import tensorflow

            tensorflow.get_logger().setLevel("ERROR")
            # The first look for graphics cards has its own chatter.
            tensorflow.config.list_physical_devices("GPU")
    return sys.modules["tensorflow"]


@contextmanager
def _silent_stderr() -> Iterator[None]:
    """Hold back what native code writes to the terminal; show it when the block fails.

    TensorFlow's libraries write some lines before they read their own log level.
    """
    sys.stderr.flush()
    with tempfile.TemporaryFile() as held:
        terminal = os.dup(2)
        os.dup2(held.fileno(), 2)
        try:
            yield
        except BaseException:
            held.seek(0)
            os.write(terminal, held.read())
            raise
        finally:
            os.dup2(terminal, 2)
            os.close(terminal)


class FrozenFunction:
    """Batches of pixels in, vectors out.

    Parameters
    ----------
    graph : bytes
        What `freeze` made.
    """

    def __init__(self, graph: bytes):
        tf = import_tensorflow()
        definition = tf.compat.v1.GraphDef.FromString(graph)
        function = tf.compat.v1.wrap_function(lambda: tf.import_graph_def(definition, name=""), [])
        self._run = function.prune(f"{INPUT}:0", f"{OUTPUT}:0")
        self._constant = tf.constant
        self.width = int(self._run.outputs[0].shape[-1])

    def __call__(self, pixels: np.ndarray) -> np.ndarray:
        """float32 (n_images, height, width, 3), scaled as the network wants it, to float32 (n_images, width)."""
        return self._run(self._constant(pixels)).numpy()


def freeze(model: Any, layer: str, *, precision: str = "float32") -> bytes:
    """A Keras model, cut off behind `layer` and pooled over its area, as an optimised GraphDef.

    Parameters
    ----------
    model : keras.Model
        With its weights.
    layer : str
        ``"avg_pool"`` for the pooled end of the model, or any layer as `layer_names` lists them.
    precision : {"float32", "bfloat16"}
        bfloat16 lets the optimiser run convolutions and products in 16 bits.

    Raises
    ------
    UsageError
        If there is no such layer; the message lists those there are.
    """
    tf = import_tensorflow()
    import keras
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    output = model.output if layer == "avg_pool" else _layer(model, layer).output
    if len(output.shape) == 4:
        output = keras.layers.GlobalAveragePooling2D()(output)
    elif len(output.shape) != 2:
        output = keras.layers.Flatten()(output)
    cut = keras.Model(model.input, output)
    spec = tf.TensorSpec([None, *model.input.shape[1:]], tf.float32, name=INPUT)
    # Keras' own predict wraps the call in an Identity too; the names INPUT and OUTPUT follow from this line.
    traced = tf.function(lambda x: cut(x, training=False), input_signature=[spec]).get_concrete_function()
    frozen = convert_variables_to_constants_v2(traced)
    return _optimised(frozen.graph.as_graph_def(), precision)


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
    return tf_optimizer.OptimizeGraph(config, meta).SerializeToString()


def layer_names(model: Any) -> dict[str, Any]:
    """The layers of a Keras model by name, with automatic names counted from the first of their kind.

    Keras numbers ``conv2d_17`` through a whole session; here the same layer has the same name in every one.
    """
    automatic = re.compile(
        r"(conv2d|batch_normalization|activation|average_pooling2d|max_pooling2d|concatenate)(_\d+)?"
    )
    kinds: dict[str, list[tuple[int, Any]]] = {}
    names = {}
    for layer in model.layers:
        match = automatic.fullmatch(layer.name)
        if match:
            kinds.setdefault(match.group(1), []).append((int((match.group(2) or "_0")[1:]), layer))
        else:
            names[layer.name] = layer
    for kind, layers in kinds.items():
        for number, (_, layer) in enumerate(sorted(layers, key=lambda item: item[0])):
            names[f"{kind}_{number}" if number else kind] = layer
    return names


def _layer(model: Any, name: str) -> Any:
    layers = layer_names(model)
    if name not in layers:
        shown = [n for n in layers if "_" not in n and not n[-1:].isdigit()] or list(layers)
        blocks = [n for n in layers if n.startswith(("mixed", "block", "conv_pw", "conv5"))]
        raise UsageError(
            f"{model.name} has no layer {name}",
            f"it has avg_pool, {', '.join(blocks or shown)} and {len(layers)} in all",
        )
    return layers[name]


def random_weights(model: Any, seed: int) -> None:
    """Fill a Keras model with seeded, untrained weights that keep the scale of the activations.

    Kernels are He normal (He et al. 2015, https://doi.org/10.1109/ICCV.2015.123), from numpy's PCG64 and so
    the same on every machine; scales and variances are 1, everything else 0.
    """
    values = []
    for number, variable in enumerate(model.weights):
        shape, kind = tuple(variable.shape), variable.path.rsplit("/", 1)[-1]
        if kind in ("gamma", "moving_variance"):
            values.append(np.ones(shape, np.float32))
        elif len(shape) < 2:
            values.append(np.zeros(shape, np.float32))
        else:
            n_inputs = np.prod(shape[:2]) if "depthwise" in kind else np.prod(shape[:-1])
            kernel = np.random.default_rng([seed, number]).standard_normal(shape, np.float32)
            values.append(kernel * np.float32(np.sqrt(2.0 / n_inputs)))
    model.set_weights(values)


def load_weights(model: Any, path: str) -> None:
    """Read a weights file into a Keras model.

    Raises
    ------
    WeightsError
        If the file belongs to another network, or is damaged.
    """
    try:
        model.load_weights(path)
    except Exception as error:
        # Keras and h5py raise ValueError, OSError, KeyError, … with pages of text for a file that does not fit.
        raise WeightsError(
            f"{path} does not hold the weights of {model.name}: {' '.join(str(error).split())[:160]}",
            "give the weights of this network, without its ImageNet top, as a Keras .weights.h5 or .h5 file",
        ) from error
