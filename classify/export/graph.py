"""A model as one TensorFlow graph: pixels enter, probabilities come out."""

import re
from typing import Any

import numpy as np

from classify.heads.plain import Kernel, Linear, PlainHead, Scaling
from featurize.errors import UsageError
from featurize.networks.engines import INPUT, import_tensorflow, output_names
from featurize.networks.graph_file import EXPORTED, EXPORTED_MEAN, refuse_side_effects

# As retrain.py named them.
ENTRY, TRAINED, RESULT = "input", "final_training_ops", "final_result"
STEEPEST = 80.0  # scores of pairs beyond it are cut off: their exponentials are too large for float32


def exported_graph(
    network: bytes,
    extractor: Any,
    head: PlainHead,
    n_labels: int,
    *,
    scaled: bool = False,
    result: str = RESULT,
) -> Any:
    """A GraphDef that takes RGB pixels of 0 to 255, float32 (n, side, side, 3), and gives probabilities.

    `network` is the frozen network of the extractor. With `scaled`, pixels enter as (RGB - 127.5) / 127.5, as
    label_image.py of TensorFlow for Poets sends them. The operation that gives the probabilities is called `result`.
    """
    tf = import_tensorflow()
    with tf.Graph().as_default() as graph:
        pixels = tf.compat.v1.placeholder(tf.float32, [None, extractor.side, extractor.side, 3], name=ENTRY)
        with tf.name_scope("pixels"):
            entering = _scaled(pixels, extractor, EXPORTED_MEAN if scaled else None)
        definition = tf.compat.v1.GraphDef.FromString(network)
        refuse_side_effects(definition, output_names(extractor.n_ends))
        ends = [f"{name}:0" for name in output_names(extractor.n_ends)]
        blocks = tf.import_graph_def(definition, {INPUT: entering}, ends, name="network")
        vectors = tf.identity(tf.concat(blocks, axis=1) if len(blocks) > 1 else blocks[0], name=EXPORTED)
        with tf.name_scope("head"):
            inputs, weights, biases = _last_layer(tf, head, n_labels, vectors)
        weights = tf.constant(weights.astype(np.float32), name=f"{TRAINED}/weights/final_weights")
        biases = tf.constant(biases.astype(np.float32), name=f"{TRAINED}/biases/final_biases")
        product = tf.matmul(inputs, weights, name=f"{TRAINED}/Wx_plus_b/MatMul")
        # The older of the two operations, which every version of TensorFlow knows.
        logits = tf.raw_ops.Add(x=product, y=biases, name=f"{TRAINED}/Wx_plus_b/add")
        tf.nn.softmax(logits, name=result)
        return graph.as_graph_def()


def check_result(name: str) -> None:
    """UsageError if an operation that gives probabilities cannot be called so beside the others of the graph."""
    others = {ENTRY, TRAINED, "pixels", "network", "head", EXPORTED.partition("/")[0]}
    if not re.fullmatch(r"[A-Za-z0-9.][\w.\\/>-]*", name, re.ASCII) or name.partition("/")[0] in others:
        taken = f"not beginning with {', '.join(sorted(others))}"
        hint = f"give a name of letters, digits and _ . / -, {taken}; retrain.py's is {RESULT}"
        raise UsageError(f"no result of a graph can be called {name!r}", hint)


def _scaled(pixels: Any, extractor: Any, middle: float | None) -> Any:
    """What `extractor.scaled` makes of RGB: a product and a sum for each channel, perhaps in the order B, G, R.

    With `middle`, what enters is (RGB - middle) / middle.
    """
    colours = np.concatenate([np.zeros((1, 3)), 255 * np.eye(3)])[None, None].astype(np.float32)
    offset, *columns = extractor.scaled(colours)[0, 0].astype(np.float64)
    matrix = (np.array(columns) - offset) / 255
    if np.count_nonzero(np.diag(matrix)) < 3:
        pixels, matrix = pixels[..., ::-1], matrix[::-1]
    factors = np.diag(matrix)
    if middle is not None:
        factors, offset = factors * middle, offset + factors * middle
    if not np.allclose(factors, 1, rtol=0, atol=1e-7):
        pixels = pixels * factors.astype(np.float32)
    if not np.allclose(offset, 0, rtol=0, atol=1e-7):
        pixels = pixels + offset.astype(np.float32)
    return pixels


def _last_layer(tf: Any, head: PlainHead, n_labels: int, X: Any) -> tuple[Any, np.ndarray, np.ndarray]:
    """A tensor, weights and biases such that the probabilities are softmax(tensor @ weights + biases)."""
    scores, slope = head.scores, head.slope
    if head.scaling is not None:
        X = _transformed(tf, head.scaling, X)
    if isinstance(scores, Kernel):
        X = _pair_scores(tf, scores, X)
        if n_labels > 2:
            return _coupled(tf, slope * X, n_labels), np.eye(n_labels), np.zeros(n_labels)
        weights, biases = np.ones((1, 1)), np.zeros(1)
    elif isinstance(scores, Linear):
        weights, biases = scores.coefficients.T, scores.intercepts
    else:
        activation = {"identity": tf.identity, "logistic": tf.sigmoid, "tanh": tf.tanh, "relu": tf.nn.relu}
        for weights, biases in zip(scores.weights[:-1], scores.biases[:-1], strict=True):
            X = activation[scores.activation](X @ _constant(tf, weights) + _constant(tf, biases))
        weights, biases = scores.weights[-1], scores.biases[-1]
    weights, biases = slope * np.asarray(weights), slope * np.asarray(biases)
    if n_labels == 2:  # one score, of the second label
        weights, biases = np.hstack([np.zeros_like(weights), weights]), np.append(0, biases)
    return X, weights, biases


def _transformed(tf: Any, scaling: Scaling, X: Any) -> Any:
    if "root" in scaling.methods:
        blocks = tf.split(X, scaling.widths, axis=1) if len(scaling.widths) > 1 else [X]
        pairs = zip(blocks, scaling.methods, strict=True)
        blocks = [tf.sqrt(tf.abs(one)) * tf.sign(one) if how == "root" else one for one, how in pairs]
        X = tf.concat(blocks, axis=1) if len(blocks) > 1 else blocks[0]
    # Divided, as the head does: what is nearly constant in training is divided by a small number.
    return (X - _constant(tf, scaling.mean)) / _constant(tf, scaling.scale)


def _pair_scores(tf: Any, svm: Kernel, X: Any) -> Any:
    products = X @ _constant(tf, svm.vectors.T)
    if svm.kernel == "rbf":
        squares = tf.reduce_sum(X * X, axis=1, keepdims=True) + _constant(tf, (svm.vectors**2).sum(axis=1))
        kernel = tf.exp(tf.maximum(squares - 2 * products, 0) * np.float32(-svm.gamma))
    elif svm.kernel == "linear":
        kernel = products
    else:
        kernel = products * np.float32(svm.gamma) + np.float32(svm.coef0)
        if svm.kernel == "sigmoid":
            kernel = tf.tanh(kernel)
        else:
            kernel = tf.pow(kernel, np.float32(svm.degree))
    if len(svm.counts) == 2:
        return kernel @ _constant(tf, svm.coefficients.T) + _constant(tf, svm.intercepts)
    # As `Kernel.scores`: what the vectors of each label add to its score against each other one.
    n_labels, ends = len(svm.counts), np.cumsum(svm.counts)
    parts = [slice(end - count, end) for count, end in zip(svm.counts, ends, strict=True)]
    shares = [kernel[:, part] @ _constant(tf, svm.coefficients[:, part].T) for part in parts]
    one, other = np.triu_indices(n_labels, k=1)
    table = tf.concat(shares, axis=1)  # label by label, without the label itself
    firsts = tf.gather(table, (one * (n_labels - 1) + other - 1).astype(np.int32), axis=1)
    seconds = tf.gather(table, (other * (n_labels - 1) + one).astype(np.int32), axis=1)
    return firsts + seconds + _constant(tf, svm.intercepts)


def _coupled(tf: Any, scores: Any, n_labels: int) -> Any:
    """Unnormalised log probabilities from a score for each pair, as `log_probabilities` has them."""
    scores = tf.clip_by_value(scores, -STEEPEST, STEEPEST)
    n_pairs = n_labels * (n_labels - 1) // 2
    numbers = np.zeros((n_labels, n_labels), dtype=np.int32)
    numbers[np.triu_indices(n_labels, k=1)] = np.arange(n_pairs)
    # For each label and each other one: minus the score of their pair, or the score where the label is the second.
    numbers += np.tril(numbers.T + n_pairs, k=-1)
    against = numbers[~np.eye(n_labels, dtype=bool)]
    odds = tf.exp(tf.gather(tf.concat([-scores, scores], axis=1), against, axis=1))
    return -tf.math.log(tf.reduce_sum(tf.reshape(odds, [-1, n_labels, n_labels - 1]), axis=2) + 1)


def _constant(tf: Any, values: np.ndarray) -> Any:
    return tf.constant(np.asarray(values, dtype=np.float32))
