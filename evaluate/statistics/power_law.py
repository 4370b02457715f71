"""The inverse power law that learning curves follow, and what it guesses beyond the last measurement."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from evaluate.scores.record import Record
from featurize.draws import drawn_below

LEAST_SIZES = 4
RATES = np.geomspace(0.05, 3.0, 120)
N_DRAWS = 1000


@dataclass(eq=False)
class PowerLaw(Record):
    """The curve ``limit - scale * images ** -rate``."""

    limit: float
    scale: float
    rate: float

    def at(self, images: float) -> float:
        """The accuracy with so many images."""
        return self.limit - self.scale * images**-self.rate


@dataclass(eq=False)
class Extrapolation(Record):
    """A guess, not a measurement, and the range of other guesses; see `extrapolate`."""

    accuracy: float
    low: float
    high: float


def fit_power_law(images: Sequence[float], accuracy: Sequence[float]) -> PowerLaw | None:
    """The power law that fits best; None with fewer than four sizes: three parameters fit any three points.

    For each of 120 rates the other two are a linear least squares problem, with the limit between 0 and 1 and a scale
    of 0 or more; the best is kept. The j-th of m sizes weighs j / m (Figueroa et al.,
    https://doi.org/10.1186/1472-6947-12-8).
    """
    if len(set(images)) < LEAST_SIZES:
        return None
    limit, scale, rate = _fitted(
        np.asarray(images, dtype=np.float64), np.asarray([accuracy], dtype=np.float64)
    )
    return PowerLaw(float(limit[0]), float(scale[0]), float(rate[0]))


def extrapolate(
    images: Sequence[float], accuracy: Sequence[float], at: float, drawn: np.ndarray | None = None
) -> Extrapolation:
    """The guess of the fitted curve at `at` images per label, from at least four sizes.

    ``low`` and ``high`` hold all guesses with one size left out and, with `drawn` (from `drawn_again`), 95 % of those
    from the draws, fitted to all sizes and to the four largest alone: an early bend misleads the fit to all.
    """
    x, y = np.asarray(images, dtype=np.float64), np.asarray(accuracy, dtype=np.float64)
    guess = float(_guessed(x, y[None], at)[0])
    others = [float(_guessed(np.delete(x, i), np.delete(y, i)[None], at)[0]) for i in range(len(x))]
    if drawn is not None:
        for last in (len(x), LEAST_SIZES):
            others += np.quantile(_guessed(x[-last:], drawn[:, -last:], at), [0.025, 0.975]).tolist()
    return Extrapolation(guess, min(guess, *others), max(guess, *others))


def drawn_again(right: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """The mean of each column for 1,000 draws of the rows, groups as a whole, always the same: shape (1000, n_sizes).

    `right` holds the share of right predictions of each image by size, shape (n_images, n_sizes).
    """
    codes = np.unique(groups, return_inverse=True)[1]
    n_groups = int(codes.max()) + 1
    sums = np.stack([*(np.bincount(codes, column) for column in right.T), np.bincount(codes)], axis=1)
    drawn = np.empty((N_DRAWS, sums.shape[1]))
    for number in range(N_DRAWS):
        which = drawn_below(n_groups, n_groups, "bootstrap", number)
        drawn[number] = np.bincount(which, minlength=n_groups) @ sums
    return drawn[:, :-1] / drawn[:, -1:]


def _fitted(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Limit, scale and rate of each row of `y`, shape (n_rows, n_sizes)."""
    w = np.arange(1, len(x) + 1) / np.arange(1, len(x) + 1).sum()
    u = x ** -RATES[:, None]
    mean_u, mean_y = u @ w, y @ w
    spread = ((u - mean_u[:, None]) ** 2) @ w
    scale = np.maximum(0.0, -((y * w) @ u.T - mean_y[:, None] * mean_u) / spread)
    limit = mean_y[:, None] + scale * mean_u
    # Where the best limit lies beyond 1 it is 1, and the scale follows from that.
    beyond = limit > 1.0
    scale = np.where(beyond, ((1.0 - y) * w) @ u.T / ((u**2) @ w), scale)
    limit = np.where(beyond, 1.0, limit)
    cost = ((y[:, None] - limit[..., None] + scale[..., None] * u) ** 2) @ w
    best = cost.argmin(axis=1)
    rows = np.arange(len(y))
    return limit[rows, best], scale[rows, best], RATES[best]


def _guessed(x: np.ndarray, y: np.ndarray, at: float) -> np.ndarray:
    limit, scale, rate = _fitted(x, y)
    return np.clip(limit - scale * at**-rate, 0.0, 1.0)
