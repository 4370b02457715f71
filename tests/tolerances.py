"""How near each other numbers must be that different batches, engines or processors computed: one table for all tests.

A library may add up in another order for a batch of another size, and does so on another processor. Nothing else is
allowed to change a number, so bits may be compared only within one engine, batch size and machine.
"""

import numpy as np

# Vectors, in parts of their length: see `distances`.
ANY_BATCH = 3e-6  # MobileNet and Inception: sums of float32 in another order (1.4e-6 was seen)
ANY_BATCH_OTHERS = 1e-5  # other networks: deeper, or with gates that multiply what sums have rounded
ELSEWHERE = 1e-5  # against Keras, another engine or processor: other kernels, folded in other ways
BFLOAT16 = 1e-2  # in bfloat16, whatever the batch: three digits per number
BFLOAT16_AWAY = 1e-3, 3e-2  # bfloat16 from float32, real weights: 1.1 % on average, 2.1 % at most
BFLOAT16_AWAY_RANDOM = 1e-5, 1e-1  # the same with random weights, which nobody trained to bear it
# int8 from float32, MobileNet 0.25, which bears it badly (Inception: 5 %), on average.
INT8_AWAY = 2e-2, 4e-1

# Probabilities, as they are, on another processor: a head passes on what its vectors differ by, and adds its own.
PROBABILITIES = 1e-4


def any_batch(network: str) -> float:
    """What a vector of this network may change by from batch to batch.

    >>> any_batch("mobilenet_0.25_128"), any_batch("efficientnet_b0")
    (3e-06, 1e-05)
    """
    return ANY_BATCH if network.startswith(("mobilenet", "inception")) else ANY_BATCH_OTHERS


def distances(rows, expected) -> np.ndarray:
    """For each row ‖row − expected‖ / ‖expected‖; 0 where both are zeros.

    >>> distances([[3, 5], [0, 0]], [[3, 4], [0, 0]])
    array([0.2, 0. ])
    """
    rows, expected = np.asarray(rows, np.float64), np.asarray(expected, np.float64)
    assert rows.shape == expected.shape
    far = np.linalg.norm(rows - expected, axis=-1)
    return far / np.where(far > 0, np.linalg.norm(expected, axis=-1), 1)


def assert_near(rows, expected, tolerance: float, what: str = "") -> None:
    """Fail, saying how far the furthest row is, unless each row is within `tolerance` of its length."""
    far = distances(rows, expected)
    assert np.all(far <= tolerance), f"{what} row {far.argmax()} is {far.max():.2g} of its length off"
