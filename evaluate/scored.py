"""One row of the results of `compare`, and what the heads complained of."""

from typing import Any

from evaluate.pairs import fold_accuracies
from evaluate.scores.crossval import Predictions
from evaluate.scores.metrics import all_scores
from evaluate.statistics.intervals import cross_validated_interval


def score_pair(mine: Predictions, features: str, head: str, positive: str | None) -> dict[str, Any]:
    """One row of the results, from the predictions of one pair."""
    times = mine.times
    interval = cross_validated_interval(
        mine.label == mine.predicted,
        mine.rows["row"].to_numpy(),
        mine.rows["group"].to_numpy(),
        n_folds=len(times),
    )
    sizes = times["model_bytes"].dropna()
    return {
        "features": features,
        "head": head,
        "accuracy": interval.to_dict(),
        **all_scores(mine.label, mine.probabilities, mine.labels, positive),
        "tuned": times["tuned"].tolist() if times["tuned"].notna().all() else None,
        "fit_seconds": float(times["fit_seconds"].mean()),
        "predict_seconds_per_image": float(times["predict_seconds"].sum() / times["n_testing"].sum()),
        "model_bytes": int(sizes.iloc[0]) if len(sizes) else None,
        "accuracy_per_fold": fold_accuracies(mine).tolist(),
    }


def complaints(predictions: Predictions) -> list[str]:
    """What the heads warned of while fitting, each once, with the number of fits concerned."""
    counts: dict[tuple[str, str, str], int] = {}
    for row in predictions.times.to_dict("records"):
        for text in row["complaints"]:
            key = (row["head"], row["features"], text)
            counts[key] = counts.get(key, 0) + 1
    n_folds = len(predictions.times) // len(predictions.pairs())
    return [f"{h} on {f}: {text} ({n} of {n_folds} fits)" for (h, f, text), n in sorted(counts.items())]
