"""The formats of exported networks: how each is written, and run again to see what it does."""

import io
import json
import os
import tempfile
import warnings
import zipfile
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from classify.export.graph import ENTRY, RESULT
from featurize.errors import UsageError, installing
from featurize.networks.engines import EVERYTHING, import_onnxruntime, import_tensorflow, silent_stderr
from featurize.networks.graph_file import EXPORTED_MEAN
from featurize.outputs import EXPORTED_HEAD, GRAPH, LITERT, ONNX, OPENVINO, SAVED_MODEL

OUTPUT = "probabilities"
OPSET = 17  # of ONNX; read by every onnxruntime since 1.12
MEASURED = 100  # photos on which the ranges of int8 are measured
UNCOUNTED = {"Const", "Constant", "Identity", "NoOp", "Parameter", "Placeholder", "Result"}

Pixels = np.ndarray  # float32 (n, side, side, 3), RGB of 0 to 255
Runner = Callable[[Pixels], np.ndarray]


@dataclass(frozen=True)
class Job:
    """What is to be written: the graph that takes pixels, and what stands beside it in the file."""

    graph: Any  # GraphDef; its input is `ENTRY`, its output `RESULT`
    side: int
    about: Mapping[str, Any]
    precision: str = "float32"
    measured: Sequence[np.ndarray] = ()  # pixels, for the ranges of int8
    retrain: bool = False  # photos are read as retrain.py read them
    labels: Sequence[str] = ()
    decide: tuple[int, float] | None = None  # the label that is given from a probability on


@dataclass(frozen=True)
class Format:
    """A format by its ending: what is written, the libraries that it needs, and our extra that brings them.

    `write` writes the file (or folder) at a path, `load` gives what runs it, `count` its operations.
    """

    kind: str
    write: Callable[[Job, Path], None]
    load: Callable[[Path], Runner]
    count: Callable[[Path], int]
    extra: str | None = None
    libraries: Sequence[str] = ()
    scaled: bool = False  # pixels enter as (RGB - 127.5) / 127.5

    def check_installed(self, ending: str) -> None:
        """UsageError where a library is missing."""
        if missing := [name for name in self.libraries if find_spec(name) is None]:
            what = f"{ending} needs {', '.join(missing)}, and the extra {self.extra} is not installed"
            raise UsageError(what, installing(self.extra or ""))


# -- TensorFlow's own ---


def _write_graph(job: Job, path: Path) -> None:
    path.write_bytes(job.graph.SerializeToString())
    labels = path.with_suffix(".labels.txt")
    labels.write_text("".join(f"{label}\n" for label in job.labels), encoding="utf-8", newline="\n")


def _load_graph(path: Path) -> Runner:
    tf = import_tensorflow()
    definition = tf.compat.v1.GraphDef.FromString(path.read_bytes())
    graph = tf.Graph()
    with graph.as_default():
        tf.import_graph_def(definition, name="")
    session = tf.compat.v1.Session(graph=graph)
    # The last operation gives the probabilities, whatever it is called.
    run = session.make_callable(f"{definition.node[-1].name}:0", feed_list=[f"{ENTRY}:0"])
    middle = np.float32(EXPORTED_MEAN)
    return lambda pixels: run((pixels - middle) / middle)


def _operations(operations: Any) -> int:
    return sum(number for kind, number in Counter(operations).items() if kind not in UNCOUNTED)


def _count_graph(path: Path) -> int:
    from featurize.networks.graph_file import read_graph

    return _operations(node.op for node in read_graph(path.read_bytes()).values())


def _module(job: Job) -> Any:
    """Two functions: of pixels, and of the bytes of JPEG files, to probabilities and the label that is given."""
    tf = import_tensorflow()
    side = job.side

    def answer(pixels: Any) -> dict[str, Any]:
        (probabilities,) = tf.graph_util.import_graph_def(
            job.graph, {ENTRY: pixels}, [f"{RESULT}:0"], name=""
        )
        given = tf.argmax(probabilities, axis=1)
        if job.decide is not None:
            positive, threshold = job.decide
            others = probabilities - 2 * tf.one_hot(positive, len(job.labels))
            reached = probabilities[:, positive] >= threshold
            given = tf.where(reached, tf.constant(positive, tf.int64), tf.argmax(others, axis=1))
        return {OUTPUT: probabilities, "label": tf.gather(tf.constant(list(job.labels)), given)}

    def resized(data: Any) -> Any:
        if job.retrain:
            rgb = tf.cast(tf.io.decode_jpeg(data, channels=3), tf.float32)
            return tf.compat.v1.image.resize_bilinear(rgb[None], [side, side])[0]
        # Pillow's pixels, bit for bit; and it rounds what it resizes.
        rgb = tf.io.decode_jpeg(data, channels=3, dct_method="INTEGER_ACCURATE")
        return tf.clip_by_value(tf.round(tf.image.resize(rgb, [side, side], antialias=True)), 0, 255)

    module = tf.Module()
    pixels = tf.TensorSpec([None, side, side, 3], tf.float32, name=ENTRY)
    module.pixels = tf.function(answer, input_signature=[pixels])

    def jpeg(data: Any) -> Any:
        shape = tf.TensorSpec([side, side, 3], tf.float32)
        return module.pixels(tf.map_fn(resized, data, fn_output_signature=shape))

    module.jpeg = tf.function(jpeg, input_signature=[tf.TensorSpec([None], tf.string, name="jpeg")])
    return module


def _write_saved_model(job: Job, path: Path) -> None:
    tf = import_tensorflow()
    module = _module(job)
    signatures = {"serving_default": module.pixels, "jpeg": module.jpeg}
    _quietly(lambda: tf.saved_model.save(module, os.fspath(path), signatures=signatures))


@lru_cache(maxsize=1)  # it is asked for pixels, for JPEG files and for its operations
def _saved_model(path: Path) -> Any:
    tf = import_tensorflow()
    return _quietly(lambda: tf.saved_model.load(os.fspath(path)))


def _load_saved_model(path: Path) -> Runner:
    tf = import_tensorflow()
    run = _saved_model(path).signatures["serving_default"]
    return lambda pixels: run(tf.constant(pixels))[OUTPUT].numpy()


def load_jpeg(path: Path) -> Callable[[bytes], np.ndarray]:
    """What gives the probabilities of a JPEG file, from a saved_model."""
    tf = import_tensorflow()
    run = _saved_model(path).signatures["jpeg"]
    return lambda data: run(tf.constant([data]))[OUTPUT].numpy()[0]


def _count_saved_model(path: Path) -> int:
    definition = _saved_model(path).signatures["serving_default"].graph.as_graph_def()
    functions = [node.op for function in definition.library.function for node in function.node_def]
    return _operations([node.op for node in definition.node] + functions)


# -- TensorFlow Lite ---


def _write_litert(job: Job, path: Path) -> None:
    data = _converted(job)
    path.write_bytes(data)
    # As TensorFlow's metadata writer does it: files behind the model, which readers of models do not see.
    with zipfile.ZipFile(path, "a") as archive:
        for name, text in (("labels.txt", "\n".join(job.labels)), ("export.json", json.dumps(job.about))):
            archive.writestr(zipfile.ZipInfo(name), text)


def _converted(job: Job) -> bytes:
    tf = import_tensorflow()

    def answer(pixels: Any) -> dict[str, Any]:
        (probabilities,) = tf.graph_util.import_graph_def(
            job.graph, {ENTRY: pixels}, [f"{RESULT}:0"], name=""
        )
        return {OUTPUT: probabilities}

    pixels = tf.TensorSpec([1, job.side, job.side, 3], tf.float32, name=ENTRY)
    module = tf.Module()
    module.answer = tf.function(answer, input_signature=[pixels])

    def new_converter() -> Any:
        functions = [module.answer.get_concrete_function()]
        return tf.lite.TFLiteConverter.from_concrete_functions(functions, module)

    converter = new_converter()
    if job.precision == "float32":
        return _quietly(converter.convert)
    lower = new_converter()
    lower.optimizations = [tf.lite.Optimize.DEFAULT]
    if job.precision == "float16":
        lower.target_spec.supported_types = [tf.float16]
        return _quietly(lower.convert)
    lower.representative_dataset = lambda: ([one[None]] for one in job.measured)
    # The network alone: what follows its vector stays in float32.
    tensors = _litert(_quietly(converter.convert)).get_tensor_details()
    kept = [one["name"] for one in tensors if not one["name"].startswith("network/")]

    def quantised() -> bytes:
        debugger = tf.lite.experimental.QuantizationDebugger(
            converter=lower,
            debug_dataset=lower.representative_dataset,
            debug_options=tf.lite.experimental.QuantizationDebugOptions(denylisted_nodes=kept),
        )
        return debugger.get_nondebug_quantized_model()

    return _quietly(quantised)


def _litert(data: bytes) -> Any:
    from ai_edge_litert.interpreter import Interpreter

    interpreter = _quietly(lambda: Interpreter(model_content=data))
    _quietly(interpreter.allocate_tensors)
    return interpreter


def _load_litert(path: Path) -> Runner:
    interpreter = _litert(path.read_bytes())
    (entry,), (result,) = interpreter.get_input_details(), interpreter.get_output_details()

    def run(pixels: Pixels) -> np.ndarray:
        rows = []
        for one in pixels:
            interpreter.set_tensor(entry["index"], one[None])
            interpreter.invoke()
            rows.append(interpreter.get_tensor(result["index"])[0].copy())
        return np.array(rows)

    return run


def _count_litert(path: Path) -> int:
    from tensorflow.lite.python import schema_py_generated as schema

    return schema.Model.GetRootAsModel(path.read_bytes(), 0).Subgraphs(0).OperatorsLength()


# -- ONNX ---


def _write_onnx(job: Job, path: Path) -> None:
    import onnx

    model = _quietly(lambda: _as_onnx(job))
    onnx.helper.set_model_props(model, {"labels": json.dumps(job.labels), "export": json.dumps(job.about)})
    onnx.save(model, os.fspath(path))


def _as_onnx(job: Job) -> Any:
    """What `tf2onnx.convert.from_graph_def` does, in its steps: one of them needs help from between."""
    import tf2onnx
    from tf2onnx.tf_loader import tf_optimize, tf_session

    tf = import_tensorflow()
    inputs, outputs = [f"{ENTRY}:0"], [f"{RESULT}:0"]
    with tf.Graph().as_default(), tf.device("/cpu:0"):
        folded = tf_optimize(inputs, outputs, job.graph)
    # Where TensorFlow computes with oneDNN, its optimiser leaves shapes behind that the converter takes for settings.
    for node in folded.node:
        if "_input_shapes" in node.attr:
            del node.attr["_input_shapes"]
    with tf.Graph().as_default() as graph, tf_session(graph=graph):
        tf.import_graph_def(folded, name="")
        converted = tf2onnx.tfonnx.process_tf_graph(
            graph,
            continue_on_error=True,
            opset=OPSET,
            input_names=inputs,
            output_names=outputs,
            tensors_to_rename={inputs[0]: ENTRY, outputs[0]: OUTPUT},
        )
        return tf2onnx.optimizer.optimize_graph(converted).make_model("a network and its head")


def _load_onnx(path: Path) -> Runner:
    onnxruntime = import_onnxruntime()
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(os.fspath(path), options, providers=["CPUExecutionProvider"])
    return lambda pixels: session.run([OUTPUT], {ENTRY: pixels})[0]


def _count_onnx(path: Path) -> int:
    import onnx

    return _operations(node.op_type for node in onnx.load(os.fspath(path)).graph.node)


# -- OpenVINO ---


def _write_openvino(job: Job, path: Path) -> None:
    import openvino

    # OpenVINO reads GraphDefs from files alone.
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "graph.pb")
        file.write_bytes(job.graph.SerializeToString())
        model = openvino.Core().read_model(file)
        model.inputs[0].get_tensor().set_names({ENTRY})
        model.outputs[0].get_tensor().set_names({OUTPUT})
        model.set_rt_info(" ".join(label.replace(" ", "_") for label in job.labels), ["model_info", "labels"])
        model.set_rt_info(json.dumps(job.about), ["model_info", "export"])
        openvino.save_model(model, path, compress_to_fp16=False)


def _load_openvino(path: Path) -> Runner:
    import openvino

    compiled = openvino.Core().compile_model(path, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    return lambda pixels: compiled({ENTRY: pixels})[OUTPUT].copy()


def _count_openvino(path: Path) -> int:
    import openvino

    return _operations(one.get_type_name() for one in openvino.Core().read_model(path).get_ops())


def _quietly(work: Callable[[], Any]) -> Any:
    """What `work` returns or raises, without what converters write to the terminal and warn of."""
    failed = None
    with warnings.catch_warnings(), redirect_stdout(io.StringIO()), silent_stderr(EVERYTHING):
        warnings.simplefilter("ignore")
        try:
            result = work()
        except Exception as error:
            failed = error
    if failed is not None:
        raise failed
    return result


FOLDER, HEAD = "a folder", ".npz"
# Of a head there are vectors, no pixels: see `classify.export.head_file`.
NETWORKS = {
    ".pb": Format(GRAPH, _write_graph, _load_graph, _count_graph, scaled=True),
    FOLDER: Format(SAVED_MODEL, _write_saved_model, _load_saved_model, _count_saved_model),
    ".tflite": Format(LITERT, _write_litert, _load_litert, _count_litert, "litert", ["ai_edge_litert"]),
    ".onnx": Format(ONNX, _write_onnx, _load_onnx, _count_onnx, "onnx", ["tf2onnx", "onnx", "onnxruntime"]),
    ".xml": Format(OPENVINO, _write_openvino, _load_openvino, _count_openvino, "openvino", ["openvino"]),
}
KINDS = {ending: one.kind for ending, one in NETWORKS.items()} | {HEAD: EXPORTED_HEAD}
