"""Commands that start sooner: scikit-learn and skops without the parts that they import for others.

scikit-learn imports pandas wherever it is installed, for one helper that fills gaps in data frames; skops imports
every module of scikit-learn, to list the estimators that it holds to be safe. Together that is a third of what
`classify predict` takes for a photo whose vector is in the store. Only the commands leave it out: in a program of
someone else's, what is imported, and what skops trusts by itself, are not ours to decide.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

# The estimators that the registered heads consist of, so that no list of all is needed to know them for safe.
ESTIMATORS = frozenset(
    {
        "sklearn.discriminant_analysis.LinearDiscriminantAnalysis",
        "sklearn.dummy.DummyClassifier",
        "sklearn.ensemble._forest.RandomForestClassifier",
        "sklearn.ensemble._hist_gradient_boosting.gradient_boosting.HistGradientBoostingClassifier",
        "sklearn.linear_model._logistic.LogisticRegression",
        "sklearn.naive_bayes.GaussianNB",
        "sklearn.neighbors._classification.KNeighborsClassifier",
        "sklearn.neural_network._multilayer_perceptron.MLPClassifier",
        "sklearn.pipeline.Pipeline",
        "sklearn.preprocessing._label.LabelBinarizer",
        "sklearn.preprocessing._label.LabelEncoder",
        "sklearn.svm._classes.LinearSVC",
        "sklearn.svm._classes.SVC",
        "sklearn.tree._classes.DecisionTreeClassifier",
    }
)


def import_lightly() -> None:
    """Import scikit-learn and skops without pandas and without the list of all estimators.

    Nothing is lost: pandas can be imported afterwards as ever, and `safe_estimators` makes the list when a model
    needs it. What is imported already stays as it is.
    """
    if "sklearn.utils.fixes" not in sys.modules and "pandas" not in sys.modules:
        with _instead(sys.modules, "pandas", None):  # to Python, a module that is not installed
            import sklearn.utils.fixes
    if "skops.io" not in sys.modules:
        import sklearn.utils

        with _instead(vars(sklearn.utils), "all_estimators", list):
            import skops.io  # noqa: F401


def safe_estimators() -> set[str]:
    """The estimators of scikit-learn by their full names: those that skops holds to be safe.

    >>> ESTIMATORS <= safe_estimators()
    True
    """
    from sklearn.utils import all_estimators

    names = (f"{estimator.__module__}.{estimator.__name__}" for _, estimator in all_estimators())
    return {name for name in names if name.startswith("sklearn.")}


@contextmanager
def _instead(place: dict[str, Any], name: str, value: Any) -> Iterator[None]:
    """`value` under this name for a while."""
    missing = object()
    before = place.get(name, missing)
    place[name] = value
    try:
        yield
    finally:
        if before is missing:
            del place[name]
        else:
            place[name] = before
