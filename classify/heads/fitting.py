"""How a head is fitted: groups kept together, Ctrl-C let through, failures explained."""

import contextvars
import ctypes
import threading
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from sklearn import config_context, get_config
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.pipeline import Pipeline
from sklearn.utils import column_or_1d
from sklearn.utils.class_weight import compute_sample_weight
from sklearn.utils.validation import check_is_fitted, has_fit_parameter
from threadpoolctl import ThreadpoolController

from classify.heads.calibrate import Calibrated, keep_freed_memory
from classify.heads.costs import Size, check_memory
from classify.heads.wrapping import Wrapper, checked_rows, for_last_step, last_step
from featurize.errors import BottleheadError, UsageError
from featurize.terminal import log

CHECKED = 100  # rows are enough to see whether a head gives numbers


def fit_failed(head: Any, error: BaseException, how: str = "cannot be fitted") -> UsageError:
    """The error to raise when `head` (a spec or a classifier) could not be fitted, or not predict."""
    name = head_name(head)
    if isinstance(error, BottleheadError):
        return UsageError(f"the head {name} {how}: {error.args[0]}", error.hint)
    plain = type(error) in (ValueError, NotImplementedError, AttributeError)
    kind = "" if plain else f"{type(error).__name__}: "
    reason = " ".join((str(error).strip().splitlines() or ["no reason given"])[0].split())
    without, _, given = name.partition(":")
    if isinstance(error, MemoryError):
        kind, reason = "", "there is not enough memory"
        hint = "use fewer processes (--jobs 1), or another head, such as softmax"
    elif "n_neighbors" in reason:
        hint = f"add photos, or let fewer neighbours vote: {without}:n_neighbors=3"
    elif "number of samples" in reason:
        hint = "add photos of each label, or use head softmax, which does with few"
    elif given:
        hint = f"leave out {given}, or give it another value; `classify heads` lists the defaults"
    else:
        hint = "use another head, such as softmax, or give it other parameters; `classify heads` lists them"
    return UsageError(f"the head {name} {how}: {kind}{reason}", hint)


def check_probabilities(fitted: Any, X: np.ndarray) -> None:
    """Refuse, by a ValueError for `fit_failed`, a fitted head that gives no numbers on vectors it was trained on."""
    with np.errstate(all="ignore"):
        probabilities_of(fitted, X[:: max(1, len(X) // CHECKED)])


def probabilities_of(fitted: Any, X: np.ndarray) -> np.ndarray:
    """What a fitted head gives, float64 of shape (n_rows, n_labels); a ValueError where that is no probabilities."""
    probabilities = np.asarray(fitted.predict_proba(X), dtype=np.float64)
    wanted = len(X), len(fitted.classes_)
    if probabilities.shape != wanted:
        raise ValueError(f"it gives probabilities of shape {probabilities.shape}, and not {wanted}")
    if not np.isfinite(probabilities).all():
        raise ValueError("it gives probabilities that are not numbers")
    if (probabilities < 0).any() or not probabilities.any(axis=1).all():
        raise ValueError("it gives probabilities below 0, or 0 for every label")
    return probabilities


@contextmanager
def interruptible() -> Iterator[None]:
    """Let Ctrl-C through where scikit-learn's MLPClassifier takes it for the end of its training."""
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message="Training interrupted by user")
        try:
            yield
        except UserWarning as warning:
            if "Training interrupted" in str(warning):
                raise KeyboardInterrupt from warning
            raise


# Modules of classifiers whose fit is one call of C, which hears no signal before its end.
IN_C = "sklearn.svm."


def hearing_signals(head: Any, work: Callable[[], Any]) -> None:
    """Do `work`, fitting `head`, such that Ctrl-C ends the waiting for it, whatever library computes.

    A signal is handled by the main thread alone, and only between two steps of Python. So libsvm computes in another
    thread, which ends as soon as it is back in Python; a process that ends does not wait for it.
    """
    parts = [head, *head.get_params().values()]
    in_c = any(type(part).__module__.startswith(IN_C) for part in parts)
    if not in_c or threading.current_thread() is not threading.main_thread():
        work()
        return
    failed: list[BaseException] = []
    context, config = contextvars.copy_context(), get_config()

    def caught() -> None:
        try:
            with config_context(**config):  # scikit-learn's settings are those of a thread
                context.run(work)
        except BaseException as error:  # raised again where it is waited for
            failed.append(error)

    thread = threading.Thread(target=caught, daemon=True)
    try:
        thread.start()  # where a signal may come as well
        while thread.is_alive():
            thread.join(1)
    except BaseException:
        ctypes.pythonapi.PyThreadState_SetAsyncExc(
            ctypes.c_ulong(thread.ident or 0), ctypes.py_object(SystemExit)
        )
        raise
    if failed:
        raise failed[0]


class ClassWeighted(Wrapper):
    """A classifier without ``class_weight`` of its own, which takes the weight of each row instead.

    `estimator` takes ``sample_weight`` in ``fit`` and gives probabilities; `class_weight` is "balanced" (every label
    weighs the same, however many photos it has), or a weight per label.
    """

    def __init__(self, estimator, class_weight="balanced"):
        self.estimator, self.class_weight = estimator, class_weight

    def fit(self, X, y, sample_weight=None):
        """Fit the classifier with one weight per row, times `sample_weight` where that is given."""
        X, y, weights = checked_rows(self, X, y, sample_weight)
        if weights is None:
            weights = compute_sample_weight(self.class_weight, y)
        elif self.class_weight == "balanced":  # the sum of the weights of each label, in place of its rows
            classes, codes = np.unique(y, return_inverse=True)
            sums = np.bincount(codes, weights)
            weights = weights * weights.sum() / (len(classes) * np.where(sums == 0, 1, sums)[codes])
        else:
            weights = weights * compute_sample_weight(self.class_weight, y)
        self.estimator_ = clone(self.estimator).fit(X, y, sample_weight=weights)
        self.classes_ = np.unique(y)
        for learnt in ("n_features_in_", "feature_names_in_"):
            if hasattr(self.estimator_, learnt):
                setattr(self, learnt, getattr(self.estimator_, learnt))
        return self

    def predict_proba(self, X) -> np.ndarray:
        """Probabilities, shape (n_rows, n_labels)."""
        check_is_fitted(self)
        return self.estimator_.predict_proba(X)


class EncodedLabels(Wrapper):
    """A classifier that takes labels as the numbers 0, 1, … alone, with labels of any kind.

    `estimator` is fitted on the places of the labels in `classes_`, and gives probabilities in that order.
    """

    def __init__(self, estimator):
        self.estimator = estimator

    def fit(self, X, y, sample_weight=None):
        """Fit the classifier on numbers in place of the labels `y`."""
        X, y, sample_weight = checked_rows(self, X, y, sample_weight)
        self.classes_, codes = np.unique(y, return_inverse=True)
        weights = {} if sample_weight is None else {"sample_weight": sample_weight}
        self.estimator_ = clone(self.estimator).fit(X, codes, **weights)
        self.n_features_in_ = self.estimator_.n_features_in_
        return self

    def predict_proba(self, X) -> np.ndarray:
        """Probabilities, shape (n_rows, n_labels)."""
        check_is_fitted(self)
        return self.estimator_.predict_proba(X)


@cache
def _linear_algebra() -> ThreadpoolController:
    """The libraries of it, which NumPy and SciPy have loaded; looking for them takes longer than many a fit."""
    return ThreadpoolController().select(user_api="blas")


def fit_head(head, X, y, groups=None, variant=None, sample_weight=None):
    """Fit a copy of `head`, keeping groups together wherever it divides the rows for itself.

    Parameters
    ----------
    head : classifier
        Unfitted, as `make_head` gives it; it stays unfitted.
    X : array or DataFrame of shape (n_rows, n_features)
    y : array of shape (n_rows,)
        Labels of any type; ``classes_`` of the fitted head are of it.
    groups, variant : arrays of shape (n_rows,), optional
        As in `make_folds`; for a classifier whose ``fit`` takes both, such as `Calibrated`.
    sample_weight : array of shape (n_rows,), optional
        How much each row counts; a UsageError where the classifier takes none.

    Returns
    -------
    classifier
        The fitted copy. That its iterations did not converge is logged, once.

    Examples
    --------
    >>> from classify import make_head
    >>> X, y = np.repeat([[0.0], [1.0]], 10, axis=0), np.repeat(["fern", "moss"], 10)
    >>> fit_head(make_head("svm"), X, y, groups=np.arange(20) // 2).predict_proba([[0.0]]).round(1)
    array([[0.9, 0.1]])
    """
    if np.ndim(X) == 2:
        check_memory(head, head_name(head), Size.of(X, y))
    fitted = clone(head)
    last = last_step(fitted)[1]
    extra = {"groups": groups, "variant": variant}
    extra = extra if all(has_fit_parameter(last, key) for key in extra) else {}
    if sample_weight is not None:
        extra["sample_weight"] = sample_weight
    passed = for_last_step(fitted, **extra)
    keep_freed_memory()
    # One thread for linear algebra: the products of a fit are many and small, and several threads wait for each other
    # at each; where other programs work too, two took four times the processor time of one, and longer by the clock.
    with _linear_algebra().limit(limits=1), warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with interruptible():
            hearing_signals(fitted, lambda: fitted.fit(X, column_or_1d(y), **passed))
    if any(issubclass(one.category, ConvergenceWarning) for one in caught):
        what = "stopped before it converged; give it more iterations (max_iter), or other parameters"
        log.warning("%s %s", head_name(last), what)
    for one in caught:
        if not issubclass(one.category, ConvergenceWarning):
            warnings.warn_explicit(one.message, one.category, one.filename, one.lineno)
    return fitted


@dataclass(frozen=True)
class NamedHead:
    """A head, and what tables and reports call it."""

    name: str
    head: Any


def head_name(head: Any) -> str:
    """What to call a head in tables and reports: its given name, the spec, or the class of its last step."""
    if isinstance(head, str):
        return head
    if isinstance(head, NamedHead):
        return head.name
    head = _without_wrappers(head)
    return getattr(head, "display_name", type(head).__name__)


def classifier_of(head: Any) -> str:
    """What a head is, whatever name it was given: its spec, or the class of its last step.

    >>> from sklearn.svm import SVC
    >>> [classifier_of(head) for head in named_heads({"svm": SVC(), "mine": "svm:C=1"}) + ["svm"]]
    ['SVC', 'svm:C=1', 'svm']
    """
    return head_name(_plain(head))


def named_heads(heads: Mapping[str, Any] | Iterable[Any]) -> list[Any]:
    """The heads of a comparison: given names kept, and objects that would be called the same told apart.

    `heads` are heads by name, or heads and pairs ``(name, head)`` in any order. Objects of one class are called by
    their steps where these differ, and by the parameters that differ.

    >>> from sklearn.linear_model import LogisticRegression
    >>> [head_name(head) for head in named_heads([LogisticRegression(), LogisticRegression(C=10), "svm"])]
    ['LogisticRegression:C=1.0', 'LogisticRegression:C=10', 'svm']
    """
    given = heads.items() if isinstance(heads, Mapping) else heads
    found = [_named(*one) if isinstance(one, tuple) and len(one) == 2 else one for one in given]
    objects = [number for number, head in enumerate(found) if not isinstance(head, str | NamedHead)]
    for told_apart in (_by_steps, _by_parameters):
        called: dict[str, list[int]] = {}
        for number in objects:
            called.setdefault(head_name(found[number]), []).append(number)
        for name, same in called.items():
            alike = [_plain(found[number]) for number in same]
            names = told_apart(name, alike) if len(alike) > 1 else []
            if len(set(names)) > 1:
                for number, head, other in zip(same, alike, names, strict=True):
                    found[number] = NamedHead(other, head)
    return found


def _named(name: Any, head: Any) -> NamedHead:
    if not isinstance(name, str) or not name or not name.isprintable():
        raise UsageError(f"a head is named {name!r}", 'give it a name as text, such as {"strong": head}')
    return NamedHead(name, head)


def _plain(head: Any) -> Any:
    return head.head if isinstance(head, NamedHead) else head


def _by_steps(name: str, heads: Sequence[Any]) -> list[str]:
    """For each of several objects called `name`, the classes of its steps: ``PCA+LogisticRegression``."""
    steps = [[step for _, step in head.steps] if isinstance(head, Pipeline) else [head] for head in heads]
    return ["+".join(head_name(step) for step in some) for some in steps]


def _by_parameters(name: str, heads: Sequence[Any]) -> list[str]:
    """For each of several objects called `name`, that name and the parameters in which they differ."""
    params = [
        {key: value for key, value in head.get_params().items() if not _holds_estimators(value)}
        for head in heads
    ]
    texts: dict[tuple[str, ...], str] = {}  # one of the paths to a parameter will do
    for path in sorted(set().union(*params), key=lambda path: (len(path), path)):
        values = tuple(_value_in_words(one[path]) if path in one else "none" for one in params)
        if len(set(values)) > 1 and values not in texts:
            short = path.rpartition("__")[2]
            texts[values] = path if short in texts.values() else short
    return [
        f"{name}:{','.join(f'{path}={values[number]}' for values, path in texts.items())}"
        for number in range(len(heads))
    ]


def _holds_estimators(value: Any) -> bool:
    """Whether a parameter is an estimator, or the steps of a pipeline."""
    steps = value if isinstance(value, list | tuple) else [value]
    parts = [part for step in steps for part in (step if isinstance(step, tuple) else [step])]
    return any(hasattr(part, "get_params") for part in parts)


def _value_in_words(value: Any) -> str:
    return value if isinstance(value, str) else " ".join(repr(value).split())


def _without_wrappers(head: Any) -> Any:
    while isinstance(head, Pipeline | Calibrated | ClassWeighted | EncodedLabels):
        head = head.steps[-1][1] if isinstance(head, Pipeline) else head.estimator
    return head
