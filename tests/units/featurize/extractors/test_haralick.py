"""The 22 values of texture: by hand, and against slow loops written from the formulas."""

from math import exp, log2, sqrt

import numpy as np
import pytest
from PIL import Image

from featurize import GLCM
from featurize.extractors.base import golden_image
from featurize.extractors.glcm import FIVE, FORMULAS

# Haralick's own example; level k of 4 is grey 64 k. Pairs to the right, both ways:
# rows (4 2 1 0), (2 4 0 0), (1 0 6 1), (0 0 1 2), 24 in all.
LEVELS = np.array([[0, 0, 1, 1], [0, 0, 1, 1], [0, 2, 2, 2], [2, 2, 3, 3]], dtype=np.uint8)


def bits(*counts: int) -> float:
    return -sum(count / 24 * log2(count / 24) for count in counts)


def by_hand() -> dict[str, float]:
    mean, hx = 31 / 24, bits(7, 6, 8, 3)
    variance = (7 * 0 + 6 * 1 + 8 * 4 + 3 * 9) / 24 - mean**2
    autocorrelation = (4 * 1 + 6 * 4 + 2 * 9 + 2 * 1 * 6) / 24
    hxy = bits(4, 4, 6, 2, 2, 2, 1, 1, 1, 1)
    sums = {0: 4, 1: 4, 2: 6, 4: 6, 5: 2, 6: 2}

    def about_average(power: int) -> float:
        return sum(count * (k - 62 / 24) ** power for k, count in sums.items()) / 24

    return {
        "autocorrelation": autocorrelation,
        "contrast": (6 * 1 + 2 * 4) / 24,
        "correlation": (autocorrelation - mean**2) / variance,
        "correlation_product": (autocorrelation - mean**2) / variance,
        "cluster_prominence": about_average(4),
        "cluster_shade": about_average(3),
        "dissimilarity": (6 * 1 + 2 * 2) / 24,
        "energy": sqrt(16 + 16 + 36 + 4 + 4 + 4 + 1 + 1 + 1 + 1) / 24,
        "entropy": hxy,
        "homogeneity": (16 + 6 / 2 + 2 / 5) / 24,
        "homogeneity_absolute": (16 + 6 / 2 + 2 / 3) / 24,
        "maximum_probability": 6 / 24,
        "sum_of_squares_variance": variance,
        "sum_average": 62 / 24,
        "sum_variance": about_average(2),
        "sum_entropy": bits(4, 4, 6, 6, 2, 2),
        "difference_variance": (6 * 1 + 2 * 4) / 24 - (10 / 24) ** 2,
        "difference_entropy": bits(16, 6, 2),
        "information_correlation_1": (hxy - 2 * hx) / hx,
        "information_correlation_2": sqrt(1 - exp(-2 * (2 * hx - hxy))),
        "inverse_difference_normalised": (16 + 6 / (1 + 1 / 4) + 2 / (1 + 2 / 4)) / 24,
        "inverse_difference_moment_normalised": (16 + 6 / (1 + 1 / 16) + 2 / (1 + 4 / 16)) / 24,
    }


def test_every_value_by_hand():
    photo = np.repeat((LEVELS * 64)[:, :, None], 3, axis=2)
    texture = GLCM("haralick", levels=4, angles=(0,))
    values = dict(zip(texture.value_names, texture.transform([photo])[0].tolist(), strict=True))
    assert values == pytest.approx({f"glcm_{name}": value for name, value in by_hand().items()}, rel=1e-6)
    assert len(values) == 22


def slowly(q: np.ndarray, levels: int, down: int, across: int) -> dict[str, float]:
    """Counting pairs one by one and summing over i and j as the formulas are printed."""
    p = np.zeros((levels, levels))
    height, width = q.shape
    for y in range(max(0, -down), min(height, height - down)):
        for x in range(max(0, -across), min(width, width - across)):
            p[q[y, x], q[y + down, x + across]] += 1
            p[q[y + down, x + across], q[y, x]] += 1
    p /= p.sum()
    px = [sum(p[i]) for i in range(levels)]
    plus, minus = [0.0] * (2 * levels - 1), [0.0] * levels
    mean = sum(i * px[i] for i in range(levels))
    spread = sum((i - mean) ** 2 * px[i] for i in range(levels))
    v = dict.fromkeys(FORMULAS, 0.0)
    hxy1 = hxy2 = 0.0
    for i in range(levels):
        for j in range(levels):
            share, apart = p[i, j], abs(i - j)
            plus[i + j] += share
            minus[apart] += share
            v["autocorrelation"] += i * j * share
            v["contrast"] += apart**2 * share
            v["correlation"] += (i - mean) * (j - mean) * share / spread
            v["correlation_product"] += i * j * share / spread
            v["cluster_prominence"] += (i + j - 2 * mean) ** 4 * share
            v["cluster_shade"] += (i + j - 2 * mean) ** 3 * share
            v["dissimilarity"] += apart * share
            v["energy"] += share**2
            v["homogeneity"] += share / (1 + apart**2)
            v["homogeneity_absolute"] += share / (1 + apart)
            v["maximum_probability"] = max(v["maximum_probability"], share)
            v["sum_of_squares_variance"] += (i - mean) ** 2 * share
            v["inverse_difference_normalised"] += share / (1 + apart / levels)
            v["inverse_difference_moment_normalised"] += share / (1 + apart**2 / levels**2)
            if share:
                v["entropy"] -= share * log2(share)
                hxy1 -= share * log2(px[i] * px[j])
            if px[i] * px[j]:
                hxy2 -= px[i] * px[j] * log2(px[i] * px[j])
    v["correlation_product"] -= mean**2 / spread
    v["energy"] = sqrt(v["energy"])
    v["sum_average"] = sum(k * share for k, share in enumerate(plus))
    v["sum_variance"] = sum((k - v["sum_average"]) ** 2 * share for k, share in enumerate(plus))
    v["sum_entropy"] = -sum(share * log2(share) for share in plus if share)
    average = sum(k * share for k, share in enumerate(minus))
    v["difference_variance"] = sum((k - average) ** 2 * share for k, share in enumerate(minus))
    v["difference_entropy"] = -sum(share * log2(share) for share in minus if share)
    hx = -sum(share * log2(share) for share in px if share)
    v["information_correlation_1"] = (v["entropy"] - hxy1) / hx
    v["information_correlation_2"] = sqrt(1 - exp(-2 * (hxy2 - v["entropy"])))
    return v


def test_slow_loops_agree_over_angles_and_distances():
    rgb, levels = golden_image()[::2, ::2], 16
    q = (np.asarray(Image.fromarray(rgb).convert("L")).astype(int) * levels // 256).astype(np.uint8)
    offsets = [(0, 1), (-1, 1), (-1, 0), (-1, -1), (0, 2), (-1, 1), (-2, 0), (-1, -1)]
    each = [slowly(q, levels, *offset) for offset in offsets]
    texture = GLCM("haralick", levels=levels, distances=(1, 2))
    got = dict(zip(FORMULAS, texture.transform([rgb])[0].tolist(), strict=True))
    assert got == pytest.approx({n: np.mean([v[n] for v in each]) for n in FORMULAS}, rel=1e-5, abs=1e-6)


def test_a_constant_image_has_the_documented_values():
    level = 77 * 32 // 256
    values = GLCM("haralick").transform([np.full((20, 30, 3), 77, dtype=np.uint8)])[0]
    ones = {"correlation", "correlation_product", "energy", "homogeneity", "homogeneity_absolute",
            "maximum_probability", "inverse_difference_normalised",
            "inverse_difference_moment_normalised"}  # fmt: skip
    expected = dict.fromkeys(FORMULAS, 0.0) | dict.fromkeys(ones, 1.0)
    expected |= {"autocorrelation": level**2, "sum_average": 2 * level}
    assert dict(zip(FORMULAS, values.tolist(), strict=True)) == pytest.approx(expected)
    np.testing.assert_array_equal(GLCM().transform([np.full((20, 30, 3), 77, np.uint8)])[0], [0, 1, 1, 0, 1])


def test_an_image_without_pairs_is_finite():
    values = GLCM("haralick", distances=(1, 9)).transform([np.zeros((1, 1, 3), np.uint8)])
    assert np.isfinite(values).all()


def test_the_five_are_among_the_22_and_keep_their_values():
    rgb = golden_image()
    both = dict(zip(FORMULAS, GLCM("haralick").transform([rgb])[0], strict=True))
    np.testing.assert_array_equal(GLCM().transform([rgb])[0], [both[name] for name in FIVE])
