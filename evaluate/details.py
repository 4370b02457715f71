"""What `compare` tells of the best pair alone, and of the features that it uses."""

from collections.abc import Mapping, Sequence
from typing import Any

from classify.folds import Fold
from evaluate import metrics
from evaluate.nearest import nearest_in_folds
from evaluate.scores.crossval import Predictions
from evaluate.scores.mistakes import by_image, hardest, misclassified, wrong_every_time
from evaluate.superclass import superclass_errors
from evaluate.suspects import label_suspects
from featurize.table import FeatureTable


def details_of(
    predictions: Predictions,
    features: str,
    head: str,
    superclasses: Mapping[str, str] | None,
    table: FeatureTable,
    folds: Sequence[Fold],
) -> dict[str, Any]:
    """`Comparison.best` beyond the scores: confusion, photos to look at, errors across super-classes.

    Parameters
    ----------
    predictions : Predictions
        Of all pairs.
    features, head : str
        The best pair.
    superclasses : mapping or None
        Super-class by label.
    table : FeatureTable
        Whose rows `predictions` and `folds` speak of.
    folds : sequence of Fold
    """
    mine = predictions.of(features, head)
    confusion, photos = metrics.confusion(mine.label, mine.predicted, mine.labels), by_image(mine)
    predicted = metrics.most_probable(photos.probabilities, photos.labels)
    return {
        "confusion": confusion,
        "confusion_percent": metrics.percent_of_rows(confusion["matrix"]),
        "per_label": metrics.per_label(mine.label, mine.predicted, mine.labels),
        "misclassified": nearest_in_folds(table, features, folds, misclassified(mine)),
        "wrong_every_time": wrong_every_time(predictions, features),
        "hardest": hardest(predictions, features),
        "label_suspects": label_suspects(photos),
        "superclasses": superclass_errors(photos.label, predicted, superclasses) if superclasses else None,
    }
