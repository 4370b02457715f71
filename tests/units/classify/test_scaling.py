import numpy as np
import pytest
from sklearn.utils.estimator_checks import estimator_checks_generator

from classify import load_model, save_model, train_model
from classify.heads.scaling import BlockScaler
from featurize import FeatureTable
from featurize.errors import UsageError

# Without the environment variable SCIPY_ARRAY_API scikit-learn skips this one; the scaler takes NumPy's arrays alone.
CHECKS = [
    check
    for _, check in estimator_checks_generator(BlockScaler())
    if check.func.__name__ != "check_array_api_input"
]


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.func.__name__)
def test_is_a_scikit_learn_transformer(check):
    check(BlockScaler())


def test_root_by_hand():
    """Rows (9, 16, 0, …) and zeros: roots (3, 4) around the mean (1.5, 2); 30 of 32 columns are constant."""
    X = np.zeros((2, 32))
    X[0, :2] = 9, 16
    scaler = BlockScaler().fit(X)
    assert scaler.methods_ == ["root"]
    # one factor for the block: the mean over 32 numbers of the variances 1.5², 2² and 30 zeros
    expected = np.array([[1.5, 2.0], [-1.5, -2.0]]) / np.sqrt((1.5**2 + 2**2) / 32) / 32**0.25
    np.testing.assert_allclose(scaler.transform(X)[:, :2], expected, rtol=1e-12)
    # a negative number met later keeps its sign: the root of -9 is -3
    np.testing.assert_allclose(scaler.transform(-X)[0, 0], -3 * expected[0, 0], rtol=1e-12)


def test_blocks_are_scaled_as_they_would_be_alone_and_in_another_unit():
    rng = np.random.default_rng(1)
    one, other = rng.exponential(size=(30, 40)), rng.normal(size=(30, 5))
    together = BlockScaler([40, 5]).fit_transform(np.hstack([one, other]))
    np.testing.assert_array_equal(together[:, :40], BlockScaler().fit_transform(one))
    np.testing.assert_allclose(together[:, :40], BlockScaler().fit_transform(one * 7.5), atol=1e-12)
    np.testing.assert_array_equal(together[:, 40:], BlockScaler().fit_transform(other))


def test_negative_numbers_or_few_columns_are_standardised():
    X = np.random.default_rng(3).exponential(size=(20, 64))
    assert BlockScaler().fit(X - 0.5).methods_ == ["standard"]
    assert BlockScaler().fit(X[:, :31]).methods_ == ["standard"]
    assert BlockScaler(method="standard").fit(X).methods_ == ["standard"]


def test_constant_numbers_stay_at_zero():
    X = np.column_stack([np.full(10, 0.1, dtype=np.float32), np.arange(10, dtype=np.float32)])
    np.testing.assert_allclose(BlockScaler().fit_transform(X)[:, 0], 0, atol=1e-6)


def test_what_cannot_be_scaled_is_refused():
    with pytest.raises(UsageError, match=r"the blocks are 3 \+ 4 wide, and the vectors 8"):
        BlockScaler([3, 4]).fit(np.ones((2, 8)))
    with pytest.raises(UsageError, match=r"'minmax'.*auto, root, standard"):
        BlockScaler(method="minmax").fit(np.ones((2, 8)))


@pytest.mark.parametrize(("dtype", "atol"), [(np.float32, 1e-3), (np.float64, 1e-9)])
def test_scaled_numbers_keep_their_type_and_can_be_turned_back(dtype, atol):
    rng = np.random.default_rng(0)
    X = np.hstack([rng.random((20, 70)), rng.normal(size=(20, 5)) * 100]).astype(dtype)
    scaler = BlockScaler([70, 5]).fit(X)
    assert scaler.methods_ == ["root", "standard"]
    assert scaler.transform(X).dtype == dtype
    np.testing.assert_allclose(scaler.inverse_transform(scaler.transform(X)), X, atol=atol)


def test_blocks_of_one_column_are_scaled_as_columns_side_by_side_also_in_a_model_of_a_file(tmp_path):
    rng = np.random.default_rng(0)
    label = np.repeat(["bee", "cat"], 40)
    one = rng.random((80, 40)) + 0.08 * (label == "cat")[:, None]
    other = 50 * rng.random((80, 6)) - 25
    both = np.hstack([one, other])
    described = FeatureTable.from_arrays({"net:a/b": both}, label=label)
    described.metadata["features"] = {"net:a/b": {"blocks": [40, 6]}}
    assert described.blocks("net:a/b") == [40, 6] and described.widths("net:a/b") == [46]
    apart = FeatureTable.from_arrays({"a": one, "b": other}, label=label)
    undescribed = FeatureTable.from_arrays({"net:a/b": both}, label=label)
    X = described.select("net:a/b")
    expected = train_model(apart, "svm", "a+b").predict_proba(X)
    model = train_model(described, "svm")
    np.testing.assert_allclose(model.predict_proba(X), expected, rtol=1e-6)
    assert np.abs(train_model(undescribed, "svm").predict_proba(X) - expected).max() > 0.01
    save_model(model, tmp_path / "m.model")
    loaded = load_model(tmp_path / "m.model")
    assert loaded.blocks == model.blocks == [40, 6]
    np.testing.assert_allclose(loaded.predict_proba(X), expected, rtol=1e-6)
    scaled = loaded.outliers.scaler.transform(X)
    np.testing.assert_allclose(scaled, BlockScaler([40, 6]).fit_transform(X), rtol=1e-3, atol=1e-3)
