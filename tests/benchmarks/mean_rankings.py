"""How often the 95 % intervals of a mean ROC AUC and a mean average precision over labels hold.

    python tests/benchmarks/mean_rankings.py [--draws 500]

A fixed head gives each photo a number per label, normal, higher by `effect` for its own label; photos of a group share
half of what varies. The truth is that of 60,000 photos. "bias" is how far a score lies above it on average.
"""

import argparse

import numpy as np
from sklearn.metrics import average_precision_score, roc_auc_score

from evaluate.statistics.intervals import score_intervals

# Labels, groups of each, photos of a group.
SETTINGS = (
    (2, 10, 1),
    (3, 10, 1),
    (3, 20, 1),
    (5, 10, 1),
    (10, 5, 1),
    (10, 20, 1),
    (3, 10, 5),
    (5, 6, 5),
    (11, 3, 4),
)
SHARED = 0.7  # the standard deviation of what photos of a group share


def draw(
    rng: np.random.Generator, sizes: list[int], photos: int, effect: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Labels as numbers, groups, and probabilities of shape (n, labels)."""
    y = np.repeat(np.arange(len(sizes)), np.array(sizes) * photos)
    group = np.repeat(np.arange(sum(sizes)), photos)
    shared = SHARED if photos > 1 else 0.0
    z = shared * rng.normal(size=(sum(sizes), len(sizes)))[group]
    z += np.sqrt(1 - shared**2) * rng.normal(size=z.shape)
    z[np.arange(len(y)), y] += effect
    chances = np.exp(1.5 * (z - z.max(axis=1, keepdims=True)))
    return y, group, chances / chances.sum(axis=1, keepdims=True)


def means(y: np.ndarray, chances: np.ndarray) -> np.ndarray:
    """The mean ROC AUC and the mean average precision, as scikit-learn has them."""
    scores = (roc_auc_score, average_precision_score)
    labels = range(chances.shape[1])
    return np.array([np.mean([score(y == k, chances[:, k]) for k in labels]) for score in scores])


def main() -> None:
    """Print a line for each setting."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--draws", type=int, default=500)
    n_draws = parser.parse_args().draws
    for n_labels, groups, photos in SETTINGS:
        names = [f"l{number:02d}" for number in range(n_labels)]
        for common in (1, 3):
            sizes = [groups * common, *[groups] * (n_labels - 1)]
            for effect in (1.0, 3.0):
                rng = np.random.default_rng(7)
                many = max(1, 60_000 // (photos * sum(sizes)))
                y, _, chances = draw(rng, [size * many for size in sizes], photos, effect)
                truth, held, told = means(y, chances), np.zeros(2), np.zeros(2)
                for _ in range(n_draws):
                    y, group, chances = draw(rng, sizes, photos, effect)
                    label, called = np.array(names)[y], np.array(names)[chances.argmax(axis=1)]
                    found = score_intervals(label, called, chances, names, np.arange(len(y)), group)
                    both = found.roc_auc, found.average_precision
                    held += [one.low <= true <= one.high for one, true in zip(both, truth, strict=True)]
                    told += [one.mean for one in both]
                print(
                    f"{n_labels:2} labels, {groups} groups of {photos}, one label {common} x as common, "
                    f"effect {effect:g}: "
                    f"ROC AUC {truth[0]:.3f} holds {100 * held[0] / n_draws:.1f} %, "
                    f"average precision {truth[1]:.3f} (bias {told[1] / n_draws - truth[1]:+.3f}) "
                    f"holds {100 * held[1] / n_draws:.1f} %",
                    flush=True,
                )


if __name__ == "__main__":
    main()
