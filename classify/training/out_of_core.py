"""Softmax for tables larger than memory: the same optimum, found in passes over the file."""

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa
from scipy.optimize import minimize
from scipy.special import expit, log_expit, logsumexp
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.class_weight import compute_class_weight
from threadpoolctl import threadpool_limits

from classify.heads.fitting import fit_failed
from classify.heads.registry import make_head
from classify.heads.scaling import WIDE, BlockScaler, block_scale
from classify.heads.spec import HeadSpec
from classify.labels import Correction, correct_labels
from classify.model.model import Model
from classify.model.outliers import MOST_BYTES, MOST_HELD_OUT, Outliers, fit_outliers
from classify.rows import (
    all_features,
    block_weights,
    relabelled,
    select_vectors,
    usable_rows,
    warn_of_conflicts,
    warn_of_few,
)
from classify.training.train import training_summary, untrained_model
from featurize.draws import shuffled
from featurize.errors import TableError, UsageError
from featurize.files import is_readable, total_memory
from featurize.id_columns import ALL_IDS
from featurize.remote import AnyPath, Location, path_at
from featurize.table import BEFORE, FeatureTable, readings, table_digest
from featurize.tableformat import table_kind
from featurize.terminal import log


@dataclass(frozen=True)
class Stream:
    """Rows of a table in its file, to be gone through as often as wanted."""

    path: AnyPath
    features: str
    parts: list[str]
    rows: np.ndarray  # which are used, ascending

    def __iter__(self) -> Iterator[tuple[slice, np.ndarray]]:
        """Which of the used rows come next, and their vectors."""
        start, taken = 0, 0
        for batch in FeatureTable.read_batches(self.path, self.parts):
            stop = taken + np.searchsorted(self.rows[taken:], start + len(batch))
            if stop > taken:
                whole = stop - taken == len(batch)
                mine = batch if whole else batch.filter(self.rows[taken:stop] - start)
                yield slice(taken, int(stop)), select_vectors(mine, self.features)
            start, taken = start + len(batch), int(stop)


def streamed_scaling(
    parts: Iterable[np.ndarray], widths: Sequence[int], block_weights: Sequence[float] | None = None
) -> BlockScaler:
    """What `BlockScaler` learns, from rows that come one part after the other."""
    least, dtype = np.full(sum(widths), np.inf), np.dtype(np.float32)
    # Of the numbers and of their roots, for which of the two is wanted shows at the end.
    plain, rooted = StandardScaler(), StandardScaler()
    for X in parts:
        least, dtype = np.minimum(least, X.min(axis=0)), X.dtype
        plain.partial_fit(X.astype(np.float64))
        rooted.partial_fit(np.sign(X) * np.sqrt(np.abs(X.astype(np.float64))))
    scaler = BlockScaler(list(widths), block_weights=block_weights)
    scaler.methods_, means, scales = [], [], []
    ends = np.cumsum(widths)
    for start, end, weight in zip(ends - widths, ends, scaler.weights(len(ends)), strict=True):
        columns = slice(start, end)
        root = end - start >= WIDE and least[columns].min() >= 0
        learnt, method = (rooted, "root") if root else (plain, "standard")
        scaler.methods_.append(method)
        means.append(learnt.mean_[columns])
        scales.append(block_scale(learnt.mean_[columns], learnt.var_[columns], method) / weight)
    scaler.mean_, scaler.scale_ = (np.concatenate(one).astype(dtype) for one in (means, scales))
    scaler.n_features_in_ = sum(widths)
    return scaler


SHARE = 1 / 8  # of the memory: training on a million vectors of 256 was seen to take 6.6 times as much
CAN_SET = frozenset({"C", "max_iter", "tol", "class_weight", "random_state"})
ROW = "row"  # the name of a column that carries row numbers through a choice of rows


def exceeds_memory(path: Location, features: str | None = None, *, memory: int | None = None) -> bool:
    """Whether the vectors of these features (by default all) take more than an eighth of the memory."""
    import pyarrow.parquet as pq

    path = path_at(path)
    if table_kind(path) != ".parquet" or not is_readable(path, TableError):
        return False
    try:
        with path.open("rb") as stream, pq.ParquetFile(stream) as file:
            fields = [field for field in file.schema_arrow if pa.types.is_fixed_size_list(field.type)]
            n_rows = file.metadata.num_rows
    except (pa.ArrowException, OSError):  # whoever reads it will say what is wrong
        return False
    widths = {field.name: field.type.list_size for field in fields}
    wanted = widths if features is None else {features}.union(*readings(features, widths))
    width = sum(widths[name] for name in widths if name in wanted)
    return 4 * width * n_rows > SHARE * (total_memory() if memory is None else memory)


def train_out_of_core(
    path: Location,
    head: str = "softmax",
    features: str | None = None,
    *,
    seed: int = 0,
    relabel: Mapping[str, str] | None = None,
    labels: Sequence[Correction] = (),
) -> Model:
    """`classify.train_model` for softmax, on a ``.parquet`` table, without ever holding the vectors in memory.

    Every pass over the file adds up the loss and its gradient, and L-BFGS takes a step, as scikit-learn's
    `LogisticRegression` does with all rows at hand: the optimum is the same whatever the order of the rows.
    (``partial_fit`` on one part after the other would forget all labels but the last, for a table holds one label after
    the other.) In memory are the ids of all rows, a part of the file, and what is kept to tell outliers.
    """
    first = next(FeatureTable.read_batches(path), None)
    if first is None:
        first = FeatureTable.read(path)  # without rows, which is refused below
    features = features or all_features(first)
    blocks = first.blocks(features), block_weights(first, features)
    if not can_train(head):
        hint = "softmax can, with C, max_iter, tol and class_weight; for others take a part of the rows"
        raise UsageError(f"the head {head} cannot be trained out of core", hint)
    classifier = make_head(head, seed=seed).named_steps["classifier"]
    whole = _ids(path)
    whole = correct_labels(whole, labels) if labels else whole
    rows = usable_rows(relabelled(whole, relabel), "train")
    warn_of_conflicts(rows)
    warn_of_few(rows)
    stream = Stream(path_at(path), features, first.parts(features), rows.vectors[ROW].view(np.int32)[:, 0])
    names, codes = np.unique(rows.label.astype(str), return_inverse=True)
    try:
        weights = compute_class_weight(classifier.class_weight, classes=names, y=names[codes])[codes]
    except ValueError as error:  # it names a label that there is not
        raise fit_failed(head, error) from None
    start = time.perf_counter()
    scaler = streamed_scaling((X for _, X in stream), *blocks)
    with threadpool_limits(1):  # a few scores per row: threads would only wait for each other
        fitted = _fit(classifier, scaler.plain(), stream, names, codes, weights)
    ids = FeatureTable(rows.ids, {}, rows.metadata)
    columns = {
        name: (first.vectors[name].shape[1], (X for _, X in Stream(stream.path, name, [name], stream.rows)))
        for name in first.features
    }
    summary = training_summary(ids, head, seed, [], time.perf_counter() - start, blocks[1])
    return replace(
        untrained_model(first, rows, features, relabel),
        head=Pipeline([("scaling", scaler), ("classifier", fitted)]),
        training={**summary, "data_digest": table_digest(rows.ids, columns), "scores": None},
        outliers=_outliers(stream, rows, *blocks, seed=seed),
    )


def can_train(head: str) -> bool:
    """Whether `train_out_of_core` takes this head: a plain softmax."""
    spec = HeadSpec.parse(head)
    return spec.name == "softmax" and set(spec.texts) <= CAN_SET


def _ids(path: Location) -> FeatureTable:
    """The table without its vectors, and with the row numbers in their place."""
    batches = list(FeatureTable.read_batches(path, []))
    kept = [name for name in batches[0].ids.column_names if name in (*ALL_IDS.names, BEFORE)]
    ids = pa.concat_tables([batch.ids.select(kept) for batch in batches], promote_options="default")
    numbers = np.arange(len(ids), dtype=np.int32).view(np.float32)  # copied, never computed with
    return FeatureTable(ids, {ROW: numbers[:, None]}, batches[0].metadata)


def _outliers(
    stream: Stream,
    rows: FeatureTable,
    widths: list[int],
    block_weights: Sequence[float] | None,
    *,
    seed: int,
) -> Outliers | None:
    """As of the whole table, where that has no more photos than a model keeps; else as of those that it keeps."""
    photos = np.flatnonzero(rows.variant == 0)
    photos = photos[shuffled(len(photos), "outliers", seed)]
    kept = np.sort(photos[: max(MOST_HELD_OUT, MOST_BYTES // (2 * sum(widths)))])
    sample = replace(stream, rows=stream.rows[kept])
    X = np.empty((len(kept), sum(widths)), dtype=np.float32)
    for which, vectors in sample:
        X[which] = vectors
    return fit_outliers(X, widths, rows.groups[kept], block_weights=block_weights, seed=seed)


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

    width = len(scaler.mean)
    least = 64 * np.finfo(float).eps
    options = {"maxiter": classifier.max_iter, "maxls": 50, "gtol": classifier.tol, "ftol": least}
    nothing = np.zeros(n_scores * (width + 1))
    found = minimize(loss_and_gradient, nothing, jac=True, method="L-BFGS-B", options=options)
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
