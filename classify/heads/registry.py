"""Heads by name, by dotted path or as objects: every one an unfitted classifier that gives probabilities."""

import importlib
import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, MetaEstimatorMixin, clone, is_classifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.pipeline import Pipeline
from sklearn.utils.class_weight import compute_sample_weight
from sklearn.utils.validation import check_is_fitted, has_fit_parameter
from threadpoolctl import threadpool_limits

from classify.heads.calibrate import Calibrated
from classify.heads.scaling import BlockScaler
from classify.heads.spec import parse_head
from featurize.errors import BottleheadError, UsageError
from featurize.terminal import log

# -- Heads that fail: what scikit-learn says of it, as one error and a hint that fits --------------------


CHECKED = 100  # rows are enough to see whether a head gives numbers


def fit_failed(head: Any, error: Exception, how: str = "cannot be fitted") -> UsageError:
    """The error to raise when `head` (a spec or a classifier) could not be fitted, or not predict.

    >>> print(fit_failed("knn", ValueError("Expected n_neighbors <= n_samples_fit")))
    the head knn cannot be fitted: Expected n_neighbors <= n_samples_fit (add photos, or let ... knn:n_neighbors=3)
    """
    name = head_name(head)
    if isinstance(error, BottleheadError):
        return UsageError(f"the head {name} {how}: {error.args[0]}", error.hint)
    kind = (
        ""
        if type(error) in (ValueError, NotImplementedError, AttributeError)
        else f"{type(error).__name__}: "
    )
    reason = " ".join((str(error).strip().splitlines() or ["no reason given"])[0].split())
    return UsageError(f"the head {name} {how}: {kind}{reason}", _hint(name, reason))


def _hint(name: str, reason: str) -> str:
    given = name.partition(":")[2]
    if "n_neighbors" in reason:
        return f"add photos, or let fewer neighbours vote: {name.partition(':')[0]}:n_neighbors=3"
    if "number of samples" in reason:
        return "add photos of each label, or use head softmax, which does with few"
    if given:
        return f"leave out {given}, or give it another value; `classify heads` lists the defaults"
    return "use another head, such as softmax, or give it other parameters; `classify heads` lists them"


def check_probabilities(fitted: Any, X: np.ndarray) -> None:
    """Refuse a fitted head that gives no numbers on the vectors it was trained on (a sample of them).

    Raises
    ------
    ValueError
        For `fit_failed` to explain.
    """
    with np.errstate(all="ignore"):
        probabilities = fitted.predict_proba(X[:: max(1, len(X) // CHECKED)])
    if not np.isfinite(probabilities).all():
        raise ValueError("it gives probabilities that are not numbers")


# -- Ctrl-C while a head is fitted ends the fitting, whatever the classifier makes of it -----------------


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


# -- Labels that count the same, however many photos each has --------------------------------------------


class Weighted(ClassifierMixin, MetaEstimatorMixin, BaseEstimator):
    """A classifier without ``class_weight`` of its own, which takes the weight of each row instead.

    Parameters
    ----------
    estimator : classifier whose ``fit`` takes ``sample_weight`` and that gives probabilities
    class_weight : "balanced" or dict of label to float
        ``balanced``: every label weighs the same, however many photos it has.

    Attributes
    ----------
    estimator_ : the fitted classifier
    classes_ : array of shape (n_labels,)

    Examples
    --------
    Nine ferns, one moss, and a photo between them:

    >>> from sklearn.naive_bayes import GaussianNB
    >>> X, y = [[0.0], [1.0], [0.5]] * 3 + [[2.0]], ["fern"] * 9 + ["moss"]
    >>> Weighted(GaussianNB(var_smoothing=1), "balanced").fit(X, y).predict_proba([[1.25]]).round(2)
    array([[0.52, 0.48]])
    """

    def __init__(self, estimator, class_weight="balanced"):
        self.estimator = estimator
        self.class_weight = class_weight

    def fit(self, X, y):
        """Fit the classifier with one weight per row."""
        self.estimator_ = clone(self.estimator)
        self.estimator_.fit(X, y, sample_weight=compute_sample_weight(self.class_weight, y))
        self.classes_ = self.estimator_.classes_
        self.n_features_in_ = self.estimator_.n_features_in_
        return self

    def predict_proba(self, X) -> np.ndarray:
        """Probabilities, shape (n_rows, n_labels)."""
        check_is_fitted(self)
        return self.estimator_.predict_proba(X)

    def predict(self, X) -> np.ndarray:
        """The most probable label of each row."""
        return self.classes_[self.predict_proba(X).argmax(axis=1)]


def weigh(classifier: Any, class_weight: Any, spec: str) -> Any:
    """`classifier`, which has no ``class_weight``, with weights of rows in its place.

    Raises
    ------
    UsageError
        If it cannot weigh photos, or the weights are neither ``balanced`` nor a number per label.
    """
    if not has_fit_parameter(classifier, "sample_weight") or not hasattr(classifier, "predict_proba"):
        raise UsageError(
            f"the head {spec} cannot give labels other weights: {type(classifier).__name__} takes none",
            "softmax, svm, linear-svm, mlp, naive-bayes, random-forest and gradient-boosting can",
        )
    if class_weight is None:
        return classifier
    if class_weight != "balanced" and not isinstance(class_weight, dict):
        raise UsageError(
            f"the head {spec} has class_weight {class_weight!r}",
            "give class_weight=balanced, or a weight per label: class_weight={'fern':1,'moss':5}",
        )
    return Weighted(classifier, class_weight)


@dataclass(frozen=True)
class Registered:
    """A head with a name: which classifier, and the parameters in which it differs from scikit-learn's."""

    classifier: str
    summary: str
    defaults: Mapping[str, Any] = field(default_factory=dict)
    calibrated: bool = False  # where its own probabilities are far from the truth


# To add a head: one entry here. Scaling, the seed and the checks of parameters come by themselves, and so do
# probabilities where the classifier has none.
HEADS = {
    "softmax": Registered(
        "sklearn.linear_model.LogisticRegression",
        "multinomial logistic regression, the layer that retrain.py trains",
        {"max_iter": 1000},
    ),
    "svm": Registered("sklearn.svm.SVC", "support vector machine with an RBF kernel", {"C": 10.0}),
    "linear-svm": Registered(
        "sklearn.svm.LinearSVC",
        "linear support vector machine, one label against the rest",
        {"C": 0.03, "dual": False},
    ),
    "mlp": Registered(
        "sklearn.neural_network.MLPClassifier",
        "neural network with one hidden layer of 100",
        {"alpha": 1.0, "max_iter": 1000},
    ),
    "knn": Registered(
        "sklearn.neighbors.KNeighborsClassifier",
        "the ten nearest training photos vote, the nearer the more",
        {"n_neighbors": 10, "weights": "distance", "algorithm": "brute"},
        calibrated=True,
    ),
    "naive-bayes": Registered(
        "sklearn.naive_bayes.GaussianNB", "independent normal distributions per label", calibrated=True
    ),
    "lda": Registered(
        "sklearn.discriminant_analysis.LinearDiscriminantAnalysis",
        "linear discriminant analysis with a shrunk covariance",
        {"solver": "lsqr", "shrinkage": "auto"},
        calibrated=True,
    ),
    "random-forest": Registered(
        "sklearn.ensemble.RandomForestClassifier",
        "200 trees that vote",
        {"n_estimators": 200},
        calibrated=True,
    ),
    "gradient-boosting": Registered(
        "sklearn.ensemble.HistGradientBoostingClassifier",
        "trees that mend each other's errors",
        # By itself it sets rows aside above 10,000, by chance, and so parts groups and copies.
        {"max_iter": 50, "max_features": 0.1, "early_stopping": False},
    ),
    "dummy": Registered("sklearn.dummy.DummyClassifier", "the share of each label: what any head must beat"),
}


def make_head(head: Any, *, widths: Sequence[int] | None = None, seed: int = 0):
    """An unfitted classifier with ``fit``, ``predict`` and ``predict_proba``.

    Parameters
    ----------
    head : str or scikit-learn classifier
        A registered name (`head_names`), a spec such as ``"svm:C=10,gamma=0.5"``, a dotted path such as
        ``"sklearn.ensemble.RandomForestClassifier:n_estimators=50"``, or an object, which is cloned.
        softmax and mlp with ``steps`` learn for so many steps, ``"softmax:steps=4000"``: `classify.stepped.Stepped`.
        ``class_weight=balanced`` works for every classifier that has it or takes ``sample_weight``.
    widths : sequence of int, optional
        The widths of the blocks of features, ``table.widths(features)``: registered heads scale block by
        block. By default all columns are one block.
    seed : int
        For registered heads and dotted paths whose classifier has a ``random_state`` that the spec does
        not set.

    Returns
    -------
    classifier
        A registered head is a ``Pipeline`` of a `BlockScaler` and a classifier, calibrated where that
        helps. Dotted paths and objects are used as they are, without scaling. Whatever gives scores but no
        probabilities is calibrated.

    Raises
    ------
    UsageError
        If the name, a parameter or its value is not known, or the object is no classifier.

    Notes
    -----
    For what each head reaches on flower photos, and how far its probabilities are from the truth, see
    `classify.calibrate.Calibrated`.

    Examples
    --------
    >>> import numpy as np
    >>> X = np.repeat([[0.0, 1.0], [1.0, 0.0]], 10, axis=0)
    >>> y = np.repeat(["fern", "moss"], 10)
    >>> make_head("svm:C=1").fit(X, y).predict(X[[0, -1]])
    array(['fern', 'moss'], dtype='<U4')
    """
    if not isinstance(head, str):
        return _with_probabilities(_checked_object(head), seed)
    name, given = parse_head(head)
    if "steps" in given:
        from classify.heads.steps import stepped_head

        return stepped_head(name, given, widths, seed)
    if name in HEADS:
        registered = HEADS[name]
        classifier = _make(_import_class(registered.classifier), {**registered.defaults, **given}, head, seed)
        scaling = BlockScaler(None if widths is None else list(widths))
        if registered.calibrated:
            classifier = Calibrated(classifier, seed=seed)
        return Pipeline([("scaling", scaling), ("classifier", _with_probabilities(classifier, seed))])
    if "," in name:
        raise UsageError(f"{head!r} is no head", "separate several heads with spaces, not commas")
    if "." not in name:
        close = get_close_matches(name.lower(), head_names(), n=1, cutoff=0.7)
        raise UsageError(
            f"there is no head named {name!r}" + (f"; perhaps {close[0]} is meant" if close else ""),
            f"the heads are {', '.join(head_names())}; any scikit-learn classifier can be given by its dotted "
            "path, such as sklearn.ensemble.RandomForestClassifier",
        )
    return _with_probabilities(_make(_import_class(name), given, head, seed), seed)


def fit_head(head, X, y, groups=None, variant=None):
    """Fit a copy of `head`, keeping groups together wherever it divides the rows for itself.

    Parameters
    ----------
    head : classifier
        Unfitted, as `make_head` gives it; it stays unfitted.
    X : array of shape (n_rows, n_features)
    y : array of str, shape (n_rows,)
    groups, variant : arrays of int, shape (n_rows,), optional
        ``table.groups`` and ``table.variant``: see `classify.folds.make_folds`. Passed on to a classifier whose
        ``fit`` takes both, such as one that calibrates its probabilities.

    Returns
    -------
    classifier
        The fitted copy. That its iterations did not converge is logged, once.

    Examples
    --------
    >>> import numpy as np
    >>> X, y = np.repeat([[0.0], [1.0]], 10, axis=0), np.repeat(["fern", "moss"], 10)
    >>> leaf = np.arange(20) // 2
    >>> fit_head(make_head("svm"), X, y, groups=leaf).predict_proba([[0.0]]).round(1)
    array([[0.9, 0.1]])
    """
    fitted = clone(head)
    extra = {"groups": groups, "variant": variant}
    last = fitted
    prefix = ""
    while isinstance(last, Pipeline):
        name, last = last.steps[-1]
        prefix += f"{name}__"
    takes_both = all(has_fit_parameter(last, key) for key in extra)
    passed = {prefix + key: value for key, value in extra.items()} if takes_both else {}
    # One thread for linear algebra: the products of a fit are many and small, and several threads wait for each other
    # at each; where other programs work too, two took four times the processor time of one, and longer by the clock.
    with threadpool_limits(1, "blas"), warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with interruptible():
            fitted.fit(X, np.asarray(y), **passed)
    _report(caught, last)
    return fitted


def head_names() -> list[str]:
    """The names of the registered heads."""
    return list(HEADS)


def head_name(head: Any) -> str:
    """What to call a head in tables and reports: the spec as typed, or the class of the object.

    A pipeline is called after its last step.

    >>> from sklearn.dummy import DummyClassifier
    >>> head_name("svm:C=10"), head_name(DummyClassifier())
    ('svm:C=10', 'DummyClassifier')
    """
    if isinstance(head, str):
        return head
    while isinstance(head, Pipeline | Calibrated | Weighted):
        head = head.steps[-1][1] if isinstance(head, Pipeline) else head.estimator
    return getattr(head, "display_name", type(head).__name__)


def _import_class(path: str) -> type:
    module_name, _, class_name = path.rpartition(".")
    try:
        found = getattr(importlib.import_module(module_name), class_name)
    except (ImportError, AttributeError, ValueError) as error:
        raise UsageError(
            f"there is no head {path}: {error}",
            f"the heads are {', '.join(head_names())}; a dotted path names a class in a module that Python can import",
        ) from error
    if not isinstance(found, type):
        raise UsageError(f"{path} is no class", "give the dotted path of a scikit-learn classifier")
    return found


def _make(classifier: type, params: Mapping[str, Any], spec: str, seed: int):
    try:
        made = classifier()
        valid = made.get_params(deep=False)
    except (TypeError, AttributeError) as error:
        raise UsageError(
            f"{spec} cannot be made: {error}", "give a scikit-learn classifier that needs no arguments"
        ) from error
    _checked_object(made)
    if "class_weight" in params and "class_weight" not in valid:
        rest = {key: value for key, value in params.items() if key != "class_weight"}
        return weigh(_make(classifier, rest, spec, seed), params["class_weight"], spec)
    unknown = sorted(set(params) - set(valid))
    if unknown:
        raise UsageError(
            f"the head {spec} has no parameter {', '.join(unknown)}",
            f"its parameters are {', '.join(sorted(valid))}",
        )
    if "random_state" in valid and "random_state" not in params:
        params = {**params, "random_state": seed}
    made.set_params(**params)
    if hasattr(made, "_validate_params"):
        try:
            made._validate_params()
        except ValueError as error:
            # scikit-learn words this well, only after the name of its own class.
            text = re.sub(r"^The ('\S+' parameter) of \w+", r"the \1", str(error))
            raise UsageError(f"the head {spec} cannot be made: {text}", "see `classify heads`") from error
    return made


def _checked_object(head: Any):
    if (
        isinstance(head, type)
        or not (hasattr(head, "fit") and hasattr(head, "get_params"))
        or not is_classifier(head)
    ):
        name = head.__name__ if isinstance(head, type) else type(head).__name__
        raise UsageError(
            f"{name} is no head" + (", it is a class" if isinstance(head, type) else ""),
            f"give a name ({', '.join(head_names())}), a dotted path, or an unfitted scikit-learn classifier such "
            "as SVC()",
        )
    return clone(head)


def _with_probabilities(classifier, seed: int):
    return classifier if hasattr(classifier, "predict_proba") else Calibrated(classifier, seed=seed)


def _report(caught: Sequence[warnings.WarningMessage], classifier: Any) -> None:
    unconverged = [one for one in caught if issubclass(one.category, ConvergenceWarning)]
    if unconverged:
        log.warning(
            "%s stopped before it converged; give it more iterations (max_iter), or other parameters",
            head_name(classifier),
        )
    for one in caught:
        if one not in unconverged:
            warnings.warn_explicit(one.message, one.category, one.filename, one.lineno)
