"""Train softmax or mlp by steps of gradient descent, as retrain.py does, with or without validation."""

import copy
import os
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import Pipeline
from sklearn.utils import _safe_indexing
from sklearn.utils.validation import check_is_fitted

from classify.folds import fewest_groups, make_folds
from classify.heads.fitting import fit_failed, interruptible
from classify.heads.scaling import BlockScaler, listed
from classify.heads.spec import HeadSpec
from classify.heads.wrapping import Probabilities, checked_rows
from classify.rows import Sample
from featurize.errors import UsageError
from featurize.remote import path_here
from featurize.terminal import log


class SGDHead(Probabilities, BaseEstimator):
    """softmax or mlp after exactly `steps` steps of gradient descent, as retrain.py trains its last layer.

    All rows are learnt from and the last state is kept, so that numbers of steps can be compared; `train_model`, given
    the same spec, sets photos aside and keeps the best state on the way. `head` is the spec of a softmax or an mlp.
    """

    block_weights: list[float] | None = None  # of models from before it was a parameter

    def __init__(
        self,
        head: str = "softmax",
        steps: int = 4000,
        learning_rate: float | None = None,
        batch_size: int = 100,
        widths: list[int] | None = None,
        seed: int = 0,
        block_weights: list[float] | None = None,
    ):
        self.head, self.steps, self.learning_rate = head, steps, learning_rate
        self.batch_size, self.widths, self.seed = batch_size, widths, seed
        self.block_weights = block_weights

    def fit(self, X, y, sample_weight=None):
        """Learn from `steps` batches drawn from the rows of X, shape (n_rows, n_features).

        `sample_weight` counts within a batch; all labels are drawn equally often, whatever their rows weigh.
        """
        self.pipeline_ = self.unfitted()
        X, y, weights = checked_rows(self, X, y, sample_weight)
        scaler = self.pipeline_.named_steps["scaling"].fit(X)
        scaled = scaler.transform(X)
        used = np.ones(len(y), dtype=bool) if weights is None else weights != 0
        self.classes_ = np.unique(y[used])
        classifier, rng = self.pipeline_.named_steps["classifier"], np.random.default_rng(self.seed)
        rows = [np.flatnonzero(used & (y == label)) for label in self.classes_]
        for _ in range(self.steps):
            drawn = np.bincount(rng.integers(len(rows), size=self.batch_size), minlength=len(rows))
            batch = np.concatenate([rng.choice(mine, count) for mine, count in zip(rows, drawn, strict=True)])
            weighed = {} if weights is None else {"sample_weight": weights[batch]}
            classifier.partial_fit(_safe_indexing(scaled, batch), y[batch], classes=self.classes_, **weighed)
            classifier.loss_curve_.clear()  # a number per step, which would swell the model
        for learnt in ("n_features_in_", "feature_names_in_"):
            if hasattr(scaler, learnt):
                setattr(self, learnt, getattr(scaler, learnt))
        return self

    def unfitted(self):
        """The pipeline that `fit` fits; raises where the parameters make none."""
        plan = StepPlan(self.steps, self.learning_rate, self.batch_size)
        blocks: dict[str, Any] = {"widths": self.widths, "block_weights": self.block_weights}
        return step_head(self.head, plan, **blocks, seed=self.seed)

    def predict_proba(self, X) -> np.ndarray:
        """Probabilities, shape (n_rows, n_labels)."""
        check_is_fitted(self)
        return self.pipeline_.predict_proba(X)


def sgd_head(
    spec: HeadSpec, widths: Sequence[int] | None, block_weights: Sequence[float] | None, seed: int
) -> SGDHead:
    """The head of a spec with ``steps``; what cannot be made is refused now."""
    rest, own = spec.split_steps()
    blocks: dict[str, Any] = {"widths": listed(widths), "block_weights": listed(block_weights)}
    head = SGDHead(str(rest), seed=seed, **blocks, **own)
    head.unfitted()
    return head


# Plain gradient descent on softmax regression, as retrain.py does it: a network without a hidden layer.
SOFTMAX = {
    "hidden_layer_sizes": (),
    "solver": "sgd",
    "momentum": 0.0,
    "nesterovs_momentum": False,
    "alpha": 0.0,
}
MLP = {"alpha": 1.0, "max_iter": 1000}  # as the head mlp has them
LEARNING_RATES = {"softmax": 0.01, "mlp": 0.001}
LEAST = 1e-12  # a probability of 0 would cost infinity


@dataclass(frozen=True)
class StepPlan:
    """How to train step by step.

    Attributes
    ----------
    steps : int
    learning_rate : float, optional
        By default 0.01 for softmax, as in retrain.py, and 0.001 for mlp.
    batch_size : int
        Photos per step, each drawn by first drawing a label, so that rare ones count as much as frequent ones.
    validation_batch_size : int
        Photos for the validation accuracy that is shown, drawn anew each time; -1 takes all.
    eval_interval : int
        Steps between two evaluations.
    save_every : int
        Steps between two copies that are kept of the best so far, each after an evaluation; 0 for none.
    summaries : path, optional
        Folder for TensorBoard: the runs ``train`` and ``validation``.
    """

    steps: int = 4000
    learning_rate: float | None = None
    batch_size: int = 100
    validation_batch_size: int = 100
    eval_interval: int = 10
    save_every: int = 0
    summaries: str | os.PathLike | None = None

    def __post_init__(self) -> None:
        least = {"steps": 1, "batch_size": 1, "validation_batch_size": 1, "eval_interval": 1, "save_every": 0}
        wrong = []
        for name, smallest in least.items():
            value = getattr(self, name)
            takes_all = name == "validation_batch_size" and value == -1
            if not isinstance(value, int) or (value < smallest and not takes_all):
                wrong.append(f"{name} is {value}")
        rate = self.learning_rate
        if rate is not None and not (isinstance(rate, int | float) and 0 < rate < np.inf):
            wrong.append(f"learning_rate is {rate}")
        if wrong:
            numbers = "whole numbers from 1 (validation_batch_size -1 takes all, save_every 0 keeps none)"
            raise UsageError(", ".join(wrong), f"give {numbers} and a learning rate above 0")
        if self.summaries is not None:
            path_here(self.summaries, "summaries are written on", "give a folder, and copy it afterwards")


Steps = StepPlan  # its public name


@dataclass(frozen=True)
class StepScores:
    """How good a step is: on the photos that it learnt from, and on some for validation.

    `vectors` are what it learnt from, scaled; `classifier` is the one that learns, as it is now.
    """

    step: int
    accuracy: float
    cross_entropy: float
    validation_accuracy: float
    validation_cross_entropy: float
    n_validation: int
    vectors: np.ndarray
    classifier: MLPClassifier


def log_scores(scores: StepScores) -> None:
    """Say how good a step is, in one line."""
    train = f"train accuracy {100 * scores.accuracy:.1f} %, cross entropy {scores.cross_entropy:.6f}"
    valid = f"validation accuracy {100 * scores.validation_accuracy:.1f} % (N={scores.n_validation})"
    log.info("step %d: %s, %s", scores.step, train, valid)


def step_head(
    head: Any,
    plan: StepPlan,
    *,
    widths: Sequence[int] | None = None,
    block_weights: Sequence[float] | None = None,
    seed: int = 0,
) -> Pipeline:
    """The unfitted head to train step by step, from the spec of a softmax or an mlp; others are refused."""
    spec = HeadSpec.parse(head) if isinstance(head, str | HeadSpec) else HeadSpec(type(head).__name__)
    if spec.name not in LEARNING_RATES or "class_weight" in spec.texts:
        hint = "give softmax or mlp, without class weights: steps draw all labels equally often"
        raise UsageError(f"the head {spec} cannot be trained step by step", hint)
    rate = plan.learning_rate or LEARNING_RATES[spec.name]
    fixed: dict[str, Any] = {"learning_rate_init": rate, "batch_size": plan.batch_size}
    fixed |= SOFTMAX if spec.name == "softmax" else {}
    network = HeadSpec("mlp", spec.with_params(fixed).texts).make(MLPClassifier, MLP, seed=seed)
    scaling = BlockScaler(listed(widths), block_weights=listed(block_weights))
    return Pipeline([("scaling", scaling), ("classifier", network)])


def fit_in_steps(
    head: Pipeline,
    sample: Sample,
    training: np.ndarray,
    validation: np.ndarray,
    plan: StepPlan,
    *,
    seed: int = 0,
    save: Callable[[Pipeline, int], None] | None = None,
    watch: Callable[[StepScores], None] = log_scores,
    first: int = 0,
) -> tuple[Pipeline, dict[str, Any]]:
    """Fit `head` in place and keep its best state, of the lowest cross entropy on the rows `validation`.

    `watch` is called after each evaluation. Evaluated are the steps `first` + a multiple of the interval, and the last.
    Returns the head and the course: the plan, and how good the best step is on all validation photos.
    """
    scaling, classifier = head.named_steps["scaling"], head.named_steps["classifier"]
    scaling.fit(sample.X[training])
    rng = np.random.default_rng(seed)
    run = StepTrainer(classifier, scaling.transform(sample.X), sample.y, training, validation, plan, rng)
    interrupted = None
    step = 0
    with ExitStack() as stack, warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore", RuntimeWarning)  # of numbers that grow beyond all bounds; told below
        writers = stack.enter_context(event_files(plan.summaries))
        try:
            for step in range(1, plan.steps + 1):
                with interruptible():
                    batch = run.learn()
                saves = save is not None and plan.save_every and step % plan.save_every == 0
                if saves or (step - first) % plan.eval_interval == 0 or step == plan.steps:
                    watch(run.evaluate(step, batch, writers))
                if save is not None and saves and run.best_step:
                    current = run.exchange(run.best)
                    save(head, run.best_step)
                    run.exchange(current)
        except KeyboardInterrupt:
            if not run.best_step:
                raise
            interrupted = step
            kept = f"the best so far is kept, that of step {run.best_step}"
            log.warning("interrupted in step %d; %s", step, kept)
        except ValueError as error:  # scikit-learn's, when the weights have grown beyond all numbers
            raise UsageError(f"step {step} failed: {error}", "give a lower --learning-rate") from error
    if not run.best_step:
        raise UsageError("no step gave probabilities that are numbers", "give a lower --learning-rate")
    guessing = float(np.log(len(run.labels)))
    if run.best_entropy > guessing:
        found = f"the best step, {run.best_step}, has a cross entropy of {run.best_entropy:.3g}"
        hint = f"give more steps, or another learning rate than {classifier.learning_rate_init:g}"
        log.warning("%s, worse than the %.3g of guessing: %s", found, guessing, hint)
    run.exchange(run.best)
    course = asdict(plan) | {
        "learning_rate": classifier.learning_rate_init,
        "best_step": run.best_step,
        "cross_entropy": run.best_entropy,
        "accuracy": run.best_accuracy,
        "interrupted_at": interrupted,
    }
    del course["summaries"]
    return head, course


def divide_for_steps(
    y: np.ndarray, groups: np.ndarray, variant: np.ndarray, split: np.ndarray, *, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Rows to learn from and photos to validate on, those of the split or a tenth; no group is on both sides."""
    aside = split.astype(str) == "validation"
    if aside.any():
        validation = np.flatnonzero(aside & (variant == 0))
        training = np.flatnonzero(~aside & ~np.isin(groups, groups[validation]))
        lost = sorted(set(y.tolist()) - set(y[training].tolist()))
        if len(validation) == 0 or lost:
            left = f"{len(validation)} photos for validation and no {', '.join(lost) or 'lack'} for training"
            raise UsageError(f"the split leaves {left}", "divide anew with `evaluate split`")
    else:
        n_folds = min(10, max(2, fewest_groups(y, groups, variant)[1]))
        fold = make_folds(y, groups, variant, n_folds=n_folds, seed=seed)[0]
        training, validation = fold.training, fold.testing
        log.info("the table has no validation rows: %d photos are set aside to validate on", len(validation))
    return training, validation


@contextmanager
def event_files(folder: str | os.PathLike | None) -> Iterator[dict[str, Any]]:
    """What writes the runs ``train`` and ``validation`` for TensorBoard; nothing without a folder."""
    with ExitStack() as stack:
        writers: dict[str, Any] = {}
        if folder:
            from tensorboardX import FileWriter

            own = f".{os.getpid()}.{time.perf_counter_ns()}"  # each run has files of its own
            for side in ("train", "validation"):
                writer = FileWriter(str(Path(folder) / side), filename_suffix=own)
                writers[side] = stack.enter_context(closing(writer))
        yield writers


def scalar_summary(accuracy: float, cross_entropy: float) -> Any:
    """The two scores of one side as TensorBoard takes them."""
    from tensorboardX.proto.summary_pb2 import Summary

    values = {"accuracy": accuracy, "cross_entropy": cross_entropy}
    return Summary(value=[Summary.Value(tag=tag, simple_value=value) for tag, value in values.items()])


class StepTrainer:
    """The state of a training: what is learnt from, and the best so far."""

    def __init__(self, classifier, X, y, training, validation, plan, rng):
        self.classifier, self.X, self.plan, self.rng = classifier, X, plan, rng
        self.labels, self.y = np.unique(y[training]), y
        self.rows = [training[y[training] == label] for label in self.labels]
        self.validation = validation
        self.best: tuple[list, list] = ([], [])
        self.best_step, self.best_entropy, self.best_accuracy = 0, np.inf, 0.0

    def learn(self) -> np.ndarray:
        """One step on photos of labels that are drawn equally often; returns their rows."""
        drawn = self.rng.integers(len(self.labels), size=self.plan.batch_size)
        batch = np.array([self.rng.choice(self.rows[label]) for label in drawn])
        try:
            self.classifier.partial_fit(_safe_indexing(self.X, batch), self.y[batch], classes=self.labels)
        except (AttributeError, TypeError, ValueError) as error:  # of a solver that takes no steps, for one
            reason = error.__cause__ if isinstance(error.__cause__, Exception) else error
            raise fit_failed(self.classifier, reason, "cannot be trained in steps") from error
        self.classifier.loss_curve_.clear()  # a number per step, which would double the size of the model
        return batch

    def evaluate(self, step: int, batch: np.ndarray, writers: dict[str, Any]) -> StepScores:
        accuracy, entropy = self._scores(batch)
        all_accuracy, all_entropy = self._scores(self.validation)
        if all_entropy < self.best_entropy:
            self.best = copy.deepcopy((self.classifier.coefs_, self.classifier.intercepts_))
            self.best_step, self.best_entropy, self.best_accuracy = step, all_entropy, all_accuracy
        shown = self.plan.validation_batch_size
        validated, validated_entropy = all_accuracy, all_entropy
        if shown != -1:
            validated, validated_entropy = self._scores(self.rng.choice(self.validation, shown))
        scores = {"train": (accuracy, entropy), "validation": (validated, validated_entropy)}
        for side, writer in writers.items():
            writer.add_summary(scalar_summary(*scores[side]), step)
            writer.flush()  # so that they can be watched
        n_shown = len(self.validation) if shown == -1 else shown
        on_validation = validated, validated_entropy, n_shown
        return StepScores(
            step, accuracy, entropy, *on_validation, _safe_indexing(self.X, batch), self.classifier
        )

    def exchange(self, weights: tuple[list, list]) -> tuple[list, list]:
        """Put these weights into the classifier; returns those that it had."""
        current = self.classifier.coefs_, self.classifier.intercepts_
        self.classifier.coefs_, self.classifier.intercepts_ = weights
        return current

    def _scores(self, rows: np.ndarray) -> tuple[float, float]:
        probabilities = self.classifier.predict_proba(_safe_indexing(self.X, rows))
        codes = np.searchsorted(self.labels, self.y[rows])
        chance = np.clip(probabilities[np.arange(len(rows)), codes], LEAST, None)
        return float((probabilities.argmax(axis=1) == codes).mean()), float(-np.log(chance).mean())
