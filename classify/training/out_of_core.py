"""Softmax for tables larger than memory: the same optimum, found in passes over the file."""

import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from scipy.optimize import minimize
from scipy.special import expit, log_expit, logsumexp
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline
from sklearn.utils.class_weight import compute_class_weight
from threadpoolctl import threadpool_limits

from classify.failures import fit_failed
from classify.heads.registry import make_head
from classify.heads.spec import parse_head
from classify.memory import total_memory
from classify.model.model import Model, short_hashes
from classify.model.outliers import MOST_BYTES, MOST_HELD_OUT, Outliers, fit_outliers
from classify.rows import relabelled, usable_rows, warn_of_conflicts
from classify.streamed import Stream, StreamedScaling
from classify.training.train import all_features, training_summary
from featurize.digest import table_digest
from featurize.errors import UsageError
from featurize.table import FeatureTable
from featurize.tableformat import table_batches, table_kind
from featurize.terminal import log

SHARE = 1 / 8  # of the memory: training on a million vectors of 256 was seen to take 6.6 times as much
CAN_SET = frozenset({"C", "max_iter", "tol", "class_weight", "random_state"})
ROW = "row"  # the name of a column that carries row numbers through a choice of rows


def exceeds_memory(path: str | Path, features: str | None = None, *, memory: int | None = None) -> bool:
    """Whether the vectors of a table take more than an eighth of the memory.

    Parameters
    ----------
    path : str or Path
    features : str, optional
        By default all columns together.
    memory : int, optional
        Bytes; by default those of this machine.
    """
    import pyarrow.parquet as pq

    path = Path(path)
    if table_kind(path) != ".parquet" or not path.is_file():
        return False
    try:
        with open(path, "rb") as stream, pq.ParquetFile(stream) as file:
            fields = [field for field in file.schema_arrow if pa.types.is_fixed_size_list(field.type)]
            n_rows = file.metadata.num_rows
    except pa.ArrowInvalid:  # whoever reads it will say what is wrong
        return False
    wanted = {field.name for field in fields} if features is None else {features, *features.split("+")}
    width = sum(field.type.list_size for field in fields if field.name in wanted)
    return 4 * width * n_rows > SHARE * (total_memory() if memory is None else memory)


def train_out_of_core(
    path: str | Path,
    head: str = "softmax",
    features: str | None = None,
    *,
    seed: int = 0,
    relabel: Mapping[str, str] | None = None,
) -> Model:
    """`classify.training.train` for softmax, without ever holding the vectors in memory.

    Every pass over the file adds up the loss and its gradient, and L-BFGS takes a step, as scikit-learn's
    `LogisticRegression` does with all rows at hand. So the optimum is the same whatever the order of the rows: on 750
    flower photos (Inception v3 mixed8, GLCM, both) probabilities differ by 5e-5 at most. Learning from one part of
    the file after the other (``partial_fit``) would read it less often, but a table holds one label after the other,
    and what it would learn last would be one label.

    In memory are the ids of all rows, a part of the file, and what is kept to tell outliers.

    Parameters
    ----------
    path : str or Path
        A ``.parquet`` table.
    head : str
        ``softmax``, with or without ``C``, ``max_iter``, ``tol`` and ``class_weight``.
    features, seed, relabel
        As for `classify.training.train`.

    Returns
    -------
    Model
        In file and card like any other.

    Raises
    ------
    UsageError
        If the head is another, or has other parameters.
    TableError
        If the file is no table, or a vector holds NaN.
    """
    first = next(table_batches(path), None)
    if first is None:
        first = FeatureTable.read(path)  # without rows, which is refused below
    features = features or all_features(first)
    widths = first.widths(features)
    classifier = _classifier(head, widths, seed)
    rows = usable_rows(relabelled(_ids(path), relabel), "train")
    warn_of_conflicts(rows)
    stream = Stream(Path(path), features, first.parts(features), rows.vectors[ROW].view(np.int32)[:, 0])
    labels, codes = np.unique(rows.label.astype(str), return_inverse=True)
    weights = _weights(classifier, labels, codes, head)
    start = time.perf_counter()
    scaling = StreamedScaling(widths)
    for _, X in stream:
        scaling.add(X)
    scaler = scaling.result()
    with threadpool_limits(1):  # a few scores per row: threads would only wait for each other
        fitted = _fit(classifier, scaler, stream, labels, codes, weights)
    described = first.metadata["features"]
    ids = FeatureTable(rows.ids, {}, rows.metadata)
    columns = {
        name: (first.vectors[name].shape[1], (X for _, X in Stream(stream.path, name, [name], stream.rows)))
        for name in first.features
    }
    summary = training_summary(ids, head, seed, [], time.perf_counter() - start)
    return Model(
        head=Pipeline([("scaling", scaler), ("classifier", fitted)]),
        features=features,
        widths=widths,
        described={part: described[part] for part in stream.parts if part in described},
        relabel=dict(relabel) if relabel is not None else None,
        training={**summary, "data_digest": table_digest(rows.ids, columns), "scores": None},
        hashes=short_hashes(rows.sha256),
        outliers=_outliers(stream, rows, widths, seed),
    )


def can_train(head: str) -> bool:
    """Whether `train_out_of_core` takes this head.

    >>> can_train("softmax:C=3"), can_train("svm")
    (True, False)
    """
    name, given = parse_head(head)
    return name == "softmax" and set(given) <= CAN_SET


def _classifier(head: str, widths: list[int], seed: int) -> LogisticRegression:
    if not can_train(head):
        raise UsageError(
            f"the head {head} cannot be trained out of core",
            "softmax can, with C, max_iter, tol and class_weight; for others take a part of the rows",
        )
    return make_head(head, widths=widths, seed=seed).named_steps["classifier"]


def _ids(path: str | Path) -> FeatureTable:
    """The table without its vectors, and with the row numbers in their place."""
    batches = list(table_batches(path, []))
    ids = pa.concat_tables([batch.ids for batch in batches])
    numbers = np.arange(len(ids), dtype=np.int32).view(np.float32)  # copied, never computed with
    return FeatureTable(ids, {ROW: numbers[:, None]}, batches[0].metadata)


def _outliers(stream: Stream, rows: FeatureTable, widths: list[int], seed: int) -> Outliers | None:
    """As of the whole table, where that has no more photos than a model keeps; else as of those that it keeps."""
    photos = np.random.default_rng(seed).permutation(np.flatnonzero(rows.variant == 0))
    kept = np.sort(photos[: max(MOST_HELD_OUT, MOST_BYTES // (2 * sum(widths)))])
    sample = replace(stream, rows=stream.rows[kept])
    X = np.empty((len(kept), sum(widths)), dtype=np.float32)
    for which, vectors in sample:
        X[which] = vectors
    return fit_outliers(X, widths, rows.groups[kept], seed=seed)


def _weights(classifier: LogisticRegression, labels: np.ndarray, codes: np.ndarray, head: str) -> np.ndarray:
    """How much each row counts."""
    try:
        return compute_class_weight(classifier.class_weight, classes=labels, y=labels[codes])[codes]
    except ValueError as error:  # it names a label that there is not
        raise fit_failed(head, error) from error


def _fit(
    classifier: LogisticRegression,
    scaler: Any,
    stream: Stream,
    labels: np.ndarray,
    codes: np.ndarray,
    weights: np.ndarray,
) -> LogisticRegression:
    """The classifier with the coefficients at the optimum, as scikit-learn's solver ``lbfgs`` defines it."""
    n_scores = 1 if len(labels) == 2 else len(labels)
    strength = 1 / (classifier.C * weights.sum())

    def loss_and_gradient(flat: np.ndarray) -> tuple[float, np.ndarray]:
        coefficients = flat.reshape(n_scores, -1)
        loss, gradient = 0.0, np.zeros_like(coefficients)
        for which, X in stream:
            Z, mine = scaler.transform(X), weights[which]
            scores = Z @ coefficients[:, :-1].T.astype(Z.dtype) + coefficients[:, -1]
            losses, slopes = _losses(scores, codes[which])
            slopes *= mine[:, None]
            loss += float(mine @ losses)
            gradient[:, :-1] += slopes.T.astype(Z.dtype) @ Z
            gradient[:, -1] += slopes.sum(axis=0)
        loss, gradient = loss / weights.sum(), gradient / weights.sum()
        log.debug("a pass: log loss %.4f", loss)
        gradient[:, :-1] += strength * coefficients[:, :-1]
        return loss + 0.5 * strength * float((coefficients[:, :-1] ** 2).sum()), gradient.ravel()

    width = len(scaler.mean_)
    options = {"maxiter": classifier.max_iter, "maxls": 50, "gtol": classifier.tol}
    found = minimize(
        loss_and_gradient,
        np.zeros(n_scores * (width + 1)),
        jac=True,
        method="L-BFGS-B",
        options={**options, "ftol": 64 * np.finfo(float).eps},
    )
    log.info("%d passes over %d rows: log loss %.4f with the penalty", found.nfev, len(codes), found.fun)
    if found.status == 1:
        log.warning("softmax stopped before it converged; give it more iterations (max_iter)")
    coefficients = found.x.reshape(n_scores, -1).astype(np.float32)
    classifier.coef_, classifier.intercept_ = coefficients[:, :-1].copy(), coefficients[:, -1].copy()
    classifier.classes_, classifier.n_features_in_ = labels, width
    classifier.n_iter_ = np.array([found.nit], dtype=np.int32)
    return classifier


def _losses(scores: np.ndarray, codes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The log loss of each row and its slope by each score."""
    scores = scores.astype(np.float64)
    if scores.shape[1] == 1:
        sign = 2 * codes - 1
        return -log_expit(sign * scores[:, 0]), expit(scores) - codes[:, None]
    rows = np.arange(len(codes))
    logarithms = scores - logsumexp(scores, axis=1, keepdims=True)
    slopes = np.exp(logarithms)
    slopes[rows, codes] -= 1
    return -logarithms[rows, codes], slopes
