"""Heads by name, by dotted path or as objects: every one an unfitted classifier that gives probabilities."""

import importlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any

import numpy as np
from sklearn.base import clone, is_classifier
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import has_fit_parameter

from classify.heads.boosting import LIBRARIES, defaults_of, encoded, parameters_of
from classify.heads.calibrate import Calibrated
from classify.heads.fitting import ClassWeighted, NamedHead, head_name
from classify.heads.scaling import BlockScaler, listed
from classify.heads.spec import HeadSpec
from classify.heads.steps import MLP, sgd_head
from featurize.errors import UsageError, failing_of_others


@dataclass(frozen=True)
class Registered:
    """A head with a name: which classifier, and the parameters in which it differs from scikit-learn's."""

    classifier: str
    summary: str
    defaults: Mapping[str, Any] = field(default_factory=dict)
    calibrated: bool = False  # where its own probabilities are far from the truth


# To add a head: one entry here and one in GRIDS of tuning.py. Scaling, the seed and the checks of parameters come by
# themselves, and so do probabilities where the classifier has none.
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
        "sklearn.neural_network.MLPClassifier", "neural network with one hidden layer of 100", MLP
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


def make_head(
    head: Any,
    *,
    widths: Sequence[int] | None = None,
    block_weights: Sequence[float] | None = None,
    seed: int = 0,
):
    """An unfitted classifier with ``fit``, ``predict`` and ``predict_proba``.

    Parameters
    ----------
    head : str or scikit-learn classifier
        A registered name (`head_names`), a spec such as ``"svm:C=10,gamma=0.5"``, a dotted path such as
        ``"sklearn.ensemble.RandomForestClassifier:n_estimators=50"``, or an object, which is cloned. softmax and mlp
        with ``steps`` learn for so many steps, ``"softmax:steps=4000"``. ``class_weight=balanced`` works for every
        classifier that has it or takes ``sample_weight``.
    widths : sequence of int, optional
        ``table.blocks(features)``: registered heads scale block by block. By default all columns are one block.
    block_weights : sequence of float, optional
        What each block counts beside the others, see `BlockScaler`; by default all count the same. `train_model` and
        `evaluate.compare` give a head that they make by name 0.25 for descriptions by hand beside a network.
    seed : int
        For a ``random_state`` that the spec does not set; objects keep their own.

    Returns
    -------
    classifier
        A registered head is a ``Pipeline`` of a `BlockScaler` and a classifier, calibrated where that helps:
        ``classifier__C`` sets a parameter of the classifier either way. Dotted paths and objects are used without
        scaling. What gives scores but no probabilities is `Calibrated`.

    Raises
    ------
    UsageError
        If the name, a parameter or its value is not known, or the object is no classifier.

    Examples
    --------
    >>> X, y = np.repeat([[0.0, 1.0], [1.0, 0.0]], 10, axis=0), np.repeat(["fern", "moss"], 10)
    >>> make_head("svm:C=1").fit(X, y).predict(X[[0, -1]])
    array(['fern', 'moss'], dtype='<U4')
    """
    head = head.head if isinstance(head, NamedHead) else head
    if not isinstance(head, str | HeadSpec):
        return _with_probabilities(encoded(_checked_object(head)), seed)
    spec = HeadSpec.parse(head)
    name = spec.name
    if "steps" in spec.texts:
        return sgd_head(spec, widths, block_weights, seed)
    if name in HEADS:
        registered = HEADS[name]
        classifier = _make(_import_class(registered.classifier), spec, registered.defaults, seed)
        scaling = BlockScaler(listed(widths), block_weights=listed(block_weights))
        if registered.calibrated:
            classifier = Calibrated(classifier, seed=seed)
        return Pipeline([("scaling", scaling), ("classifier", _with_probabilities(classifier, seed))])
    if "," in name:
        raise UsageError(f"{str(head)!r} is no head", "separate several heads with spaces, not commas")
    if "." not in name:
        close = get_close_matches(name.lower(), head_names(), n=1, cutoff=0.7)
        raise UsageError(
            f"there is no head named {name!r}" + "".join(f"; perhaps {one} is meant" for one in close),
            f"the heads are {', '.join(head_names())}; any scikit-learn classifier can be given by its dotted "
            "path, such as sklearn.ensemble.RandomForestClassifier",
        )
    return _with_probabilities(_make(_import_class(name), spec, {}, seed), seed)


def head_names() -> list[str]:
    """The names of the registered heads."""
    return list(HEADS)


def _import_class(path: str) -> type:
    module_name, _, class_name = path.rpartition(".")
    try:
        found = getattr(importlib.import_module(module_name), class_name)
    except (Exception, SystemExit) as error:  # a module of anybody may do anything
        ours = isinstance(error, ImportError | AttributeError | ValueError)
        kind = "" if ours else f"{type(error).__name__}: "
        missing = error.name if isinstance(error, ModuleNotFoundError) else None
        if missing in LIBRARIES:
            what = f"the head {path} needs the package {missing}, which is not installed"
            raise UsageError(what, f"pip install {missing}") from None
        # What fails inside of a module that is there, its author wants to see.
        wrong_path = f"{path}.".startswith(f"{missing}.") or getattr(error, "name", None) == class_name
        raise UsageError(
            f"there is no head {path}: {kind}{error}",
            f"the heads are {', '.join(head_names())}; a dotted path names a class in a module that Python can import",
        ) from (None if wrong_path else error)
    if not isinstance(found, type):
        raise UsageError(f"{path} is no class", "give the dotted path of a scikit-learn classifier")
    return found


def _make(classifier: type, spec: HeadSpec, defaults: Mapping[str, Any], seed: int):
    """An unfitted classifier; where it has no ``class_weight`` of its own, rows are weighted in its place."""
    weighs = "class_weight" in spec.texts and not (
        _has_class_weight(classifier) and _weighs_labels(classifier, spec.params["class_weight"])
    )
    defaults, more = {**defaults, **defaults_of(classifier, spec.params)}, parameters_of(classifier)
    made = (spec.without("class_weight") if weighs else spec).make(classifier, defaults, seed=seed, more=more)
    _checked_object(made)
    made = encoded(made)
    return weigh(made, spec.params["class_weight"], str(spec)) if weighs else made


MEND = "mend its class, or use another head"
MOST_WEIGHT = 1e12  # beyond it, or below its inverse, sums overflow or some heads never end


def _check_weights(class_weight: Any, head: Any) -> None:
    for label, weight in class_weight.items() if isinstance(class_weight, dict) else ():
        number = isinstance(weight, int | float | np.integer | np.floating) and weight != 0
        if number and not 1 / MOST_WEIGHT <= abs(weight) <= MOST_WEIGHT:
            what = f"the head {head_name(head)} has class_weight {weight!r} for {label}"
            hint = f"give 0, or a number from {1 / MOST_WEIGHT:g} to {MOST_WEIGHT:g}; 1 is usual"
            raise UsageError(what, hint)


def _has_class_weight(classifier: type) -> bool:
    try:
        return "class_weight" in classifier().get_params(deep=False)
    except Exception:  # whoever makes one will say so
        return False


def _weighs_labels(classifier: type, class_weight: Any) -> bool:
    # scikit-learn's gradient boosting looks for labels in a dictionary after it has made numbers of them.
    numbers = classifier.__name__ == "HistGradientBoostingClassifier"
    return not (numbers and isinstance(class_weight, dict))


def weigh(classifier: Any, class_weight: Any, spec: str) -> Any:
    """`classifier`, which has no ``class_weight``, weighing rows instead; a UsageError where it takes no weights."""
    if not has_fit_parameter(classifier, "sample_weight") or not hasattr(classifier, "predict_proba"):
        what = f"the head {spec} cannot give labels other weights: {type(classifier).__name__} takes none"
        hint = "softmax, svm, linear-svm, mlp, naive-bayes, random-forest and gradient-boosting can"
        raise UsageError(what, hint)
    if class_weight is None:
        return classifier
    if class_weight != "balanced" and not isinstance(class_weight, dict):
        hint = "give class_weight=balanced, or a weight per label: class_weight={'fern':1,'moss':5}"
        raise UsageError(f"the head {spec} has class_weight {class_weight!r}", hint)
    _check_weights(class_weight, spec)
    return ClassWeighted(classifier, class_weight)


def _checked_object(head: Any):
    is_class = isinstance(head, type)
    with failing_of_others(f"the head {type(head).__name__} cannot be used", MEND):
        is_head = (
            not is_class and hasattr(head, "fit") and hasattr(head, "get_params") and is_classifier(head)
        )
    if not is_head:
        raise UsageError(
            f"{head.__name__} is no head, it is a class" if is_class else f"{type(head).__name__} is no head",
            f"give a name ({', '.join(head_names())}), a dotted path, or an unfitted scikit-learn classifier such "
            "as SVC()",
        )
    with failing_of_others(f"the head {head_name(head)} cannot be copied", MEND):
        for name, value in head.get_params().items():
            if name.rpartition("__")[2] == "class_weight":
                _check_weights(value, head)
        return clone(head)


def _with_probabilities(classifier, seed: int):
    return classifier if hasattr(classifier, "predict_proba") else Calibrated(classifier, seed=seed)
