"""How good a model is on photos that it was not trained on, where its training has found out on the way."""

from typing import Any

import numpy as np
from sklearn.pipeline import Pipeline

from classify.heads.calibrate import Calibrated
from classify.heads.tuning import Tuning


def training_scores(
    fitted: Any, tuning: Tuning | None, held_out: tuple[np.ndarray, np.ndarray] | None
) -> dict[str, Any] | None:
    """Accuracy and log loss on photos left out of the fit, in the way that flatters least.

    Choosing a threshold needs probabilities of photos left out; calibration needs their scores; a search scores each
    candidate on them. Where none of these was done, nothing is known, and training does not take five times as long
    to find out: `evaluate.compare` does. After a search all of these flatter a little, for the same photos chose the
    parameters, as the card says; `evaluate.compare` with ``tune`` searches anew without the photos that it tests.

    Parameters
    ----------
    fitted : classifier
    tuning : Tuning or None
        How its parameters were chosen.
    held_out : pair of arrays or None
        The true labels of photos, and the probabilities that heads fitted without them gave, columns in the order of
        the sorted labels.

    Returns
    -------
    dict or None
        ``accuracy`` and ``log_loss``; on how many ``photos`` or in how many ``folds``, where that is known.
    """
    if held_out is not None:
        y, probabilities = held_out
        columns = np.searchsorted(np.unique(y), y)
        chance = np.clip(probabilities[np.arange(len(y)), columns], np.finfo(np.float64).eps, None)
        right = probabilities.argmax(axis=1) == columns
        return {
            "photos": len(y),
            "accuracy": float(right.mean()),
            "log_loss": float(-np.log(chance).mean()),
        }
    if tuning is not None:
        scores = {key: tuning.best[key] for key in ("accuracy", "log_loss")}
        return {"folds": tuning.n_folds, **scores}
    last = fitted.steps[-1][1] if isinstance(fitted, Pipeline) else fitted
    return dict(last.held_out_) if isinstance(last, Calibrated) else None
