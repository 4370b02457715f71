"""The inverse power law that learning curves follow, and what it guesses beyond the last measurement."""

from collections.abc import Sequence

import numpy as np

METHOD = (
    "inverse power law, accuracy = limit - scale * images ** -rate, by least squares (Figueroa et al. 2012); beyond "
    "the largest size it is a guess, with the range of the guesses when each size is left out in turn"
)
LEAST_SIZES = 4
RATES = np.geomspace(0.05, 3.0, 120)


def fit_power_law(images: Sequence[float], accuracy: Sequence[float]) -> dict[str, float] | None:
    """``limit``, ``scale`` and ``rate`` of the curve ``limit - scale * images ** -rate`` [1]_.

    For each of 120 rates from 0.05 to 3 the other two are a linear least squares problem, with the limit between 0
    and 1 and a scale of 0 or more; the best is kept. That finds the same answer every time, which a search from a
    starting point does not.

    Parameters
    ----------
    images : sequence of float
        Training images per label, all above 0.
    accuracy : sequence of float
        Shares, 0 to 1.

    Returns
    -------
    dict or None
        None with fewer than four sizes: three parameters fit any three points.

    References
    ----------
    .. [1] R. L. Figueroa et al., "Predicting sample size required for classification performance", BMC Medical
       Informatics and Decision Making 12 (2012), https://doi.org/10.1186/1472-6947-12-8

    Examples
    --------
    >>> n = np.array([5, 10, 20, 40, 80])
    >>> found = fit_power_law(n, 0.95 - 0.8 * n**-0.5)
    >>> round(found["limit"], 2), round(found["rate"], 2)
    (0.95, 0.5)
    """
    if len(set(images)) < LEAST_SIZES:
        return None
    return _fitted(np.asarray(images, dtype=np.float64), np.asarray(accuracy, dtype=np.float64))


def extrapolate(images: Sequence[float], accuracy: Sequence[float], at: float) -> dict[str, float]:
    """The guess of the fitted curve at `at` images per label.

    Returns
    -------
    dict
        ``accuracy``, and ``low`` and ``high``, the range of the guesses with each size left out in turn. It shows
        how much hangs on a single measurement; it is no confidence interval.

    Examples
    --------
    >>> found = extrapolate([5, 10, 20, 40], [0.5, 0.6, 0.65, 0.675], at=80)
    >>> round(found["accuracy"], 2)
    0.69
    """
    x, y = np.asarray(images, dtype=np.float64), np.asarray(accuracy, dtype=np.float64)
    guess = _value(_fitted(x, y), at)
    others = [_value(_fitted(np.delete(x, i), np.delete(y, i)), at) for i in range(len(x))]
    return {"accuracy": guess, "low": min(guess, *others), "high": max(guess, *others)}


def _fitted(x: np.ndarray, y: np.ndarray) -> dict[str, float]:
    from scipy.optimize import lsq_linear

    best: tuple[float, dict[str, float]] | None = None
    for rate in RATES:
        design = np.column_stack([np.ones(len(x)), -(x**-rate)])
        found = lsq_linear(design, y, bounds=([0.0, 0.0], [1.0, np.inf]))
        if best is None or found.cost < best[0] - 1e-15:
            best = (
                float(found.cost),
                {"limit": float(found.x[0]), "scale": float(found.x[1]), "rate": float(rate)},
            )
    assert best is not None
    return best[1]


def _value(curve: dict[str, float], at: float) -> float:
    return float(np.clip(curve["limit"] - curve["scale"] * at ** -curve["rate"], 0.0, 1.0))
