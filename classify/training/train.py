"""Train a model on the vectors of a table, at once or in steps."""

import datetime
import importlib.metadata
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
from sklearn.base import clone
from sklearn.pipeline import Pipeline
from threadpoolctl import threadpool_limits

from classify.heads.boosting import forget_run, versions_of
from classify.heads.calibrate import Calibrated
from classify.heads.costs import Size, check_memory
from classify.heads.fitting import check_probabilities, fit_failed, fit_head, head_name
from classify.heads.registry import HEADS, make_head
from classify.heads.spec import HeadSpec
from classify.heads.steps import (
    StepPlan,
    StepScores,
    divide_for_steps,
    fit_in_steps,
    log_scores,
    step_head,
)
from classify.heads.tuning import Tuning, check_search, tune_head
from classify.labels import count_corrections
from classify.model.model import Model, short_hashes
from classify.model.outliers import fit_outliers
from classify.model.skops_head import audit_head, dump_head
from classify.rows import (
    BESIDE,
    Sample,
    all_features,
    block_weights,
    relabelled,
    usable_rows,
    warn_of_conflicts,
    warn_of_few,
)
from classify.taxonomy import ParentMap, Taxonomy
from classify.training.answers import check_accuracy, choose_answers
from classify.training.thresholds import check_rule, choose_threshold, held_out_folds, held_out_probabilities
from featurize.errors import BottleheadError, UsageError
from featurize.table import FeatureTable
from featurize.terminal import log


def held_out_scores(
    fitted: Any, tuning: Tuning | None, held_out: tuple[np.ndarray, np.ndarray] | None
) -> dict[str, Any] | None:
    """Accuracy and log loss on photos left out of the fit, in the way that flatters least; None where nothing is known.

    They come from what training did anyway: from choosing a threshold (`held_out`: labels, and probabilities with
    columns in the order of the sorted labels), from a search, or from calibration.
    """
    if held_out is not None:
        y, probabilities = held_out
        columns = np.searchsorted(np.unique(y), y)
        chance = np.clip(probabilities[np.arange(len(y)), columns], np.finfo(np.float64).eps, None)
        right = probabilities.argmax(axis=1) == columns
        return {"photos": len(y), "accuracy": float(right.mean()), "log_loss": float(-np.log(chance).mean())}
    if tuning is not None:
        return {"folds": tuning.n_folds, **{key: tuning.best[key] for key in ("accuracy", "log_loss")}}
    last = fitted.steps[-1][1] if isinstance(fitted, Pipeline) else fitted
    return dict(last.held_out_) if isinstance(last, Calibrated) else None


LIBRARIES = ("bottlehead", "scikit-learn", "skops", "numpy", "scipy")
_version = cache(importlib.metadata.version)  # reads a file each time
FEW = 6  # rows per label, enough to see what a fitted head consists of


def train(
    table: FeatureTable,
    head: Any = "softmax",
    features: str | None = None,
    *,
    seed: int = 0,
    relabel: Mapping[str, str] | None = None,
    tune: str | None = None,
    positive: str | None = None,
    threshold: str | Mapping[tuple[str, str], float] | None = None,
    taxonomy: ParentMap | Mapping[str, str] | None = None,
    answer_accuracy: float = 0.95,
    trust: Iterable[str] = (),
    jobs: int | None = None,
) -> Model:
    """Fit a head on the vectors of a table.

    Parameters
    ----------
    table : FeatureTable
        Where its split is set, the training and validation rows are used, else all; rows without a label are not.
    head : str or classifier
        See `make_head`. With ``steps``, ``"softmax:steps=4000"``, it is trained by `train_in_steps`.
    features : str, optional
        A features column, or several joined with ``+``. By default all the columns of the table but
        ``nuisance`` and those of ``region=border``.
    seed : int
        The same table, head and seed give the same model.
    relabel : mapping of str to str, optional
        New label by label; an empty new label drops the class. The model keeps it.
    tune : {"log-loss", "accuracy"}, optional
        Search the parameters of the head first, by this score (see `tune_head`); the model keeps the trail.
    positive, threshold : str, optional
        Choose from which probability on a photo is given the label `positive`: ``"recall=0.95"`` or costs, see
        `choose_threshold`. The model decides by this operating point.
    taxonomy : mapping, optional
        Parent by label and by inner node (`read_taxonomy` reads a file; labels are those after `relabel`). Where no
        label is probable enough, the model answers with a node that holds several.
    answer_accuracy : float
        With a taxonomy: the share of answers that shall be right, which decides what is probable enough; see
        `classify.training.answers.choose_answers`.
    trust : iterable of str
        As in `load_model`: types that the head may consist of.
    jobs : int, optional
        Processors to use, by default all: one fits, see `fit_head`, another may look for outliers meanwhile.

    Raises
    ------
    UsageError
        If the head, the features or the relabelling are wrong, or there is only one label.
    ModelError
        If the model could be written but not loaded again.

    Examples
    --------
    >>> table = FeatureTable.from_arrays({"x": [[0.0]] * 20 + [[5.0]] * 20}, label=["fern"] * 20 + ["moss"] * 20)
    >>> model = train(table, "svm")
    >>> model.labels, model.predict([[5.0]]).tolist()
    (['fern', 'moss'], ['moss'])
    """
    spec, stepwise = HeadSpec.parse(head).split_steps() if isinstance(head, str) else (None, {})
    if stepwise:
        if any(one is not None for one in (tune, positive, threshold, taxonomy)):
            hint = "leave out its steps"
            raise UsageError("a head with steps is neither tuned nor given a threshold or a taxonomy", hint)
        return train_in_steps(table, str(spec), features, StepPlan(**stepwise), seed=seed, relabel=relabel)
    if tune is not None:
        check_search(head, tune)
    if (positive is None) != (threshold is None):
        what = f"a {'threshold' if positive is None else 'positive label'} was given alone"
        hint = "give both: --positive LABEL with --threshold recall=0.95 or --costs FILE.csv"
        raise UsageError(what, hint)
    if positive is not None and taxonomy is not None:
        what = "a positive label and a taxonomy were given; each decides what a photo is answered with"
        raise UsageError(what, "leave out one of them")
    features = features or all_features(table)
    blocks: dict[str, Any] = {
        "widths": table.blocks(features),
        "block_weights": block_weights(table, features),
    }
    unfitted = make_head(head, **blocks, seed=seed)
    trust = list(trust)
    rows = usable_rows(relabelled(table, relabel), "train")
    warn_of_conflicts(rows)
    warn_of_few(rows)
    sample = Sample.of(rows, features)
    check_memory(unfitted, head_name(head), Size.of(sample.X, sample.y))
    if positive is not None and threshold is not None:
        check_rule(positive, sorted(set(sample.y.tolist())), threshold)
    tree = None
    if taxonomy is not None:
        check_accuracy(answer_accuracy)
        tree = Taxonomy(taxonomy, sorted(set(sample.y.tolist())))
    if spec is None or spec.name not in HEADS:  # of those that have a name, tests say that they load again
        _refuse_what_cannot_be_loaded(unfitted, sample, trust)
    start = time.perf_counter()
    tuning = None
    with threadpool_limits(jobs or None):
        if tune is not None:
            rows_given = sample.X, sample.y, sample.groups, sample.variant
            tuning = tune_head(head, *rows_given, **blocks, seed=seed, by=tune)
            head = tuning.head
            log.info("tuned on %d folds by %s: %s", tuning.n_folds, tune, head)
            unfitted = make_head(head, **blocks, seed=seed)
        # `fit_head` takes one processor; another looks for outliers. One thread each: so sums never change order.
        with threadpool_limits(1, "blas"), ThreadPoolExecutor(1) as other:
            told = sample.X, blocks["widths"], rows.groups, rows.variant
            outliers = other.submit(fit_outliers, *told, block_weights=blocks["block_weights"], seed=seed)
            if jobs == 1 or sample.X.nbytes > BESIDE:
                outliers.result()
            fitted = _fit(unfitted, sample, head)
            model = untrained_model(table, rows, features, relabel)
        point, answers, held_out = None, None, None
        if tree is not None or (positive is not None and threshold is not None):
            photos, probabilities = held_out_probabilities(unfitted, sample, seed=seed)
            held_out = sample.y[photos], probabilities
            together = None if sample.groups is None else sample.groups[photos]
        if held_out is not None and positive is not None and threshold is not None:
            point = choose_threshold(*held_out, fitted.classes_, positive, threshold, together)
            log.info("%s", point)
        if held_out is not None and tree is not None:
            n_folds = held_out_folds(sample)
            halves = _of_halves(unfitted, sample, photos, seed) if n_folds > 3 else None
            answers = choose_answers(
                *held_out, tree, answer_accuracy, together, n_folds=n_folds, halves=halves
            )
            log.info("%s", answers)
    audit_head(dump_head(fitted), trust)
    scaled = spec is not None and spec.name in HEADS
    weights = blocks["block_weights"] if scaled else None
    summary = training_summary(rows, head, seed, trust, time.perf_counter() - start, weights)
    summary["versions"] |= versions_of(fitted)
    summary["scores"] = held_out_scores(fitted, tuning, held_out)
    if tuning is not None:
        summary["tuning"] = tuning.to_dict()
    found = outliers.result()
    model = replace(model, operating_point=point, answers=answers)
    return replace(model, head=fitted, training=summary, outliers=found)


def _of_halves(head: Any, sample: Sample, photos: np.ndarray, seed: int) -> np.ndarray | None:
    """Probabilities of `photos` from heads that were trained on half of them; None where a head needs more."""
    try:
        found, probabilities = held_out_probabilities(head, sample, n_folds=2, seed=seed)
    except UsageError:
        return None
    order = np.argsort(found)
    return np.asarray(probabilities[order[np.searchsorted(found[order], photos)]])


train_model = train  # its public name


def train_in_steps(
    table: FeatureTable,
    head: str = "softmax",
    features: str | None = None,
    plan: StepPlan | None = None,
    *,
    seed: int = 0,
    relabel: Mapping[str, str] | None = None,
    save: Callable[[Model, int], None] | None = None,
    watch: Callable[[StepScores], None] = log_scores,
    first: int = 0,
) -> Model:
    """Fit a softmax or an mlp step by step, as retrain.py does, and say how it goes.

    The validation rows of the table's split, or else a tenth of its photos, are not learnt from; they decide
    which step was the best, and that one is kept. Ctrl-C ends the training and keeps the best so far.

    Parameters
    ----------
    table, features, seed, relabel
        As in `train_model`.
    head : str
        ``softmax`` or ``mlp``, with or without parameters of `sklearn.neural_network.MLPClassifier`.
    plan : Steps, optional
    save : function of (model, step), optional
        Called every ``plan.save_every`` steps with the best model so far.
    watch : function of StepScores, optional
        Called after each evaluation; by default it is logged.
    first : int
        Evaluated are the steps `first` + a multiple of ``plan.eval_interval``, and the last.

    Returns
    -------
    Model
        Its ``training["steps"]`` tells the course.

    Raises
    ------
    UsageError
        If the head cannot be trained in steps, or the numbers of the plan make no sense.

    Examples
    --------
    >>> table = FeatureTable.from_arrays({"x": [[0.0]] * 20 + [[5.0]] * 20}, label=["fern"] * 20 + ["moss"] * 20)
    >>> model = train_in_steps(table, plan=StepPlan(steps=200, batch_size=10))
    >>> model.predict([[5.0]]).tolist(), model.training["steps"]["accuracy"]
    (['moss'], 1.0)
    """
    plan = plan or StepPlan()
    features = features or all_features(table)
    widths, weights = table.blocks(features), block_weights(table, features)
    unfitted = step_head(head, plan, widths=widths, block_weights=weights, seed=seed)
    rows = usable_rows(relabelled(table, relabel), "train")
    warn_of_conflicts(rows)
    warn_of_few(rows)
    sample = Sample.of(rows, features)
    sides = divide_for_steps(sample.y, rows.groups, rows.variant, rows.split, seed=seed)
    told = sample.X, widths, rows.groups, rows.variant
    outliers = fit_outliers(*told, block_weights=weights, seed=seed)
    model = replace(untrained_model(table, rows, features, relabel), outliers=outliers)
    start = time.perf_counter()

    def snapshot(fitted: Any, course: dict[str, Any]) -> Model:
        summary = training_summary(rows, head, seed, [], time.perf_counter() - start, weights)
        return replace(model, head=fitted, training={**summary, "steps": course})

    def keep(fitted: Any, step: int) -> None:
        if save is not None:
            save(snapshot(fitted, {"best_step": step}), step)

    with threadpool_limits(1, "blas"):  # steps are small: several threads would mostly wait for each other
        own: dict[str, Any] = {"seed": seed, "save": keep, "watch": watch, "first": first}
        return snapshot(*fit_in_steps(unfitted, sample, *sides, plan, **own))


def untrained_model(
    table: FeatureTable, rows: FeatureTable, features: str, relabel: Mapping[str, str] | None
) -> Model:
    """What a model holds of the table and the rows of it that are used, without a head and outliers."""
    entries = table.metadata["features"]
    parts = table.parts(features)
    all_named = len(parts) > 1 and any("+" in part for part in parts)  # for `Model.parts`
    described = {part: entries.get(part, {}) for part in parts if part in entries or all_named}
    relabel = dict(relabel) if relabel is not None else None
    return Model(None, features, table.widths(features), described, relabel, hashes=short_hashes(rows.sha256))


def _refuse_what_cannot_be_loaded(unfitted: Any, sample: Sample, trust: list[str]) -> None:
    """Fit on a few rows first, so that a head that could not be loaded again does not cost the whole training.

    A fitted head consists of more types than an unfitted one; all are named in one go.
    """
    few = np.concatenate([np.flatnonzero(sample.y == label)[:FEW] for label in np.unique(sample.y)])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            small = clone(unfitted).fit(sample.X[few], sample.y[few])
        except (Exception, SystemExit):
            small = unfitted  # it needs more rows than these; the check after the whole training decides
    audit_head(dump_head(small), trust)


def _fit(unfitted: Any, sample: Sample, head: Any) -> Any:
    try:
        fitted = fit_head(unfitted, sample.X, sample.y, sample.groups, sample.variant)
        check_probabilities(fitted, sample.X)
        forget_run(fitted)
    except BottleheadError:
        raise
    except (Exception, SystemExit) as error:  # classifiers fail in as many ways as there are parameters
        raise fit_failed(head, error) from error
    return fitted


def training_summary(
    rows: FeatureTable,
    head: Any,
    seed: int,
    trust: list[str],
    seconds: float,
    weights: list[float] | None = None,
) -> dict[str, Any]:
    """What a model tells of its training; `seconds` is how long it took, `weights` are those of the blocks, if any."""
    photos = rows.variant == 0
    counted: dict[str, Any] = {} if weights is None else {"block_weights": weights}
    if corrections := count_corrections(rows):
        counted["corrections"] = corrections
    return {
        "head": head_name(head),
        "seed": seed,
        "trust": trust,
        "rows": len(rows),
        "photos": int(photos.sum()),
        "photos_per_label": dict(sorted(Counter(rows.label[photos].tolist()).items())),
        "data_digest": rows.digest(),
        "seconds": round(seconds, 3),
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "versions": {name: _version(name) for name in LIBRARIES},
        **counted,
    }
