"""One division: intervals and differences of a test set, and no word of heads trained on other photos."""

import numpy as np
import pytest

from evaluate import compare
from featurize import FeatureTable


def test_one_fold_gives_intervals_and_differences_of_a_test_set():
    from scipy.stats import ttest_1samp

    rng = np.random.default_rng(3)
    label = np.array(["rust", "well"])[np.arange(200) % 2]
    X = rng.normal(size=(200, 2)) + (label == "well")[:, None]
    table = FeatureTable.from_arrays(
        {"x": X, "noise": rng.normal(size=(200, 1))},
        label=label,
        split=["training"] * 120 + ["validation"] * 80,
    )
    found = compare(table, ["x", "noise"], ["softmax"], folds="predefined", jobs=1)
    right = [
        mine.label == mine.predicted
        for mine in (found.predictions.of("x", "softmax"), found.predictions.of("noise", "softmax"))
    ]
    expected = ttest_1samp(right[0].astype(float) - right[1], 0)
    (pair,) = found.comparisons
    assert pair["p_value"] == pytest.approx(expected.pvalue)
    # Wald's interval with half a photo and a photo more (Bonett and Price); one division widens nothing.
    first, second = (((a & ~b).sum() + 0.5) / 81 for a, b in (right, right[::-1]))
    half = 1.959964 * ((first + second - (first - second) ** 2) / 81) ** 0.5
    assert (pair["low"], pair["high"]) == pytest.approx((first - second - half, first - second + half))
    assert found.results[0]["accuracy"]["mean"] == right[0].mean()
    assert "1 fold, the same for all, which test 80 photos" in str(found)
    # However small p, one training says nothing of heads trained on other photos; nor is it said that it was folds.
    assert pair["p_holm"] < 0.05 and pair["verdict"] == "ahead"
    assert "is ahead of noise (softmax) on these photos" in pair["words"]
    assert "not settled for other training photos" in pair["words"]
    content = found.to_dict()
    for words in (*content["methods"].values(), content["methods_paragraph"]["text"], found.to_html()):
        assert "over the folds" not in words and "Nadeau" not in words
    assert "paired t-test over the groups tested" in content["methods_paragraph"]["text"]
    assert "the t-test over the groups tested, alone" in found.to_html()


def test_the_base_rate_is_that_of_the_photos_tested():
    """60 to train on, mostly fern; 20 to test, of which 15 are moss."""
    label = np.array(["fern"] * 50 + ["moss"] * 10 + ["fern"] * 5 + ["moss"] * 15)
    table = FeatureTable.from_arrays(
        {"x": np.random.default_rng(0).normal(size=(80, 2))},
        label=label,
        split=["training"] * 60 + ["validation"] * 20,
    )
    found = compare(table, ["x"], ["softmax"], folds="predefined", jobs=1)
    assert "Always answering moss, the commonest label, would be right on 75.0 %." in found.to_html()
