import logging

import numpy as np
import pytest
from sklearn.utils.estimator_checks import estimator_checks_generator

from classify import load_model, make_head, save_model, train_model, tune_head
from classify.folds import make_folds
from classify.heads.fitting import head_name
from classify.heads.scaling import BlockScaler
from classify.heads.tuning import TunedHead
from classify.model.card import model_card
from classify.rows import all_features, block_weights
from classify.training.out_of_core import train_out_of_core
from evaluate import compare
from evaluate.report.methods import methods_paragraph
from evaluate.scores.crossval import cross_validate
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


def test_block_weights_multiply_what_is_scaled_and_are_undone():
    rng = np.random.default_rng(2)
    X = np.hstack([rng.exponential(size=(30, 40)), rng.normal(size=(30, 5))])
    plain, weighted = BlockScaler([40, 5]).fit(X), BlockScaler([40, 5], block_weights=[1, 0.25]).fit(X)
    expected = plain.transform(X) * np.repeat([1, 0.25], [40, 5])
    np.testing.assert_allclose(weighted.transform(X), expected, rtol=1e-12)
    np.testing.assert_allclose(weighted.inverse_transform(weighted.transform(X)), X, atol=1e-9)


@pytest.mark.parametrize("weights", [[1.0], [1.0, 0.0], [1.0, -1.0], [1.0, np.inf], [1.0, np.nan], []])
def test_weights_that_are_none_are_refused(weights):
    with pytest.raises(UsageError, match=r"the block weights are .*, and there are 2 blocks.*above 0"):
        BlockScaler([3, 4], block_weights=weights).fit(np.ones((2, 7)))


NETWORK, TEXTURE = {"family": "resnet50", "weights": {"sha256": "0"}}, {"family": "texture"}
LAYERS = NETWORK | {"blocks": [3, 1]}


@pytest.mark.parametrize(("described", "expected"), [
    ([NETWORK, TEXTURE], [1, 0.25]),
    ([TEXTURE, NETWORK], [0.25, 1]),
    ([LAYERS, TEXTURE, {"family": "glcm"}], [1, 1, 0.25, 0.25]),
    ([{"fingerprint": "imported"}, {"family": "color"}], [1, 0.25]),
    ([{"family": "edges"}, NETWORK, {"family": "lbp"}], [1, 1, 0.25]),
    ([NETWORK, NETWORK], None), ([NETWORK], None), ([TEXTURE], None), ([NETWORK, {"family": "edges"}], None),
    ([TEXTURE, {"family": "glcm"}, {"family": "edges"}], None), ([{}, TEXTURE], None), ([{}, {}], None),
])  # fmt: skip
def test_descriptions_by_hand_count_a_quarter_beside_a_network_and_nothing_else_is_weighted(
    described, expected
):
    names = [f"x{number}" for number in range(len(described))]
    table = FeatureTable.from_arrays({name: np.zeros((2, 4)) for name in names}, label=["a", "b"])
    table.metadata["features"] = {name: one for name, one in zip(names, described, strict=True) if one}
    assert block_weights(table, "+".join(names)) == expected


@pytest.fixture
def joined() -> FeatureTable:
    """A network that tells the labels fairly well, and texture that tells nothing."""
    rng = np.random.default_rng(4)
    label = np.repeat(["bee", "cat"], 60)
    vectors = {
        "net": rng.random((120, 40)) + 0.12 * (label == "cat")[:, None],
        "texture": rng.random((120, 50)),
    }
    table = FeatureTable.from_arrays(vectors, label=label)
    table.metadata["features"] = {
        name: {"spec": name, "params": {}, "description": {}, **entry}
        for name, entry in (("net", NETWORK), ("texture", TEXTURE))
    }
    return table


@pytest.mark.parametrize(
    "head", ["softmax", "svm", "linear-svm", "mlp:max_iter=50", "lda", "knn", "softmax:steps=50"]
)
def test_models_weigh_texture_beside_a_network_say_so_and_keep_it_in_their_file(joined, tmp_path, head):
    model = train_model(joined, head, "net+texture")
    X = joined.select("net+texture")
    assert model.training["block_weights"] == [1.0, 0.25]
    assert "blocks    40 at weight 1, 50 at weight 0.25" in model_card(model)
    save_model(model, tmp_path / "m.model")
    loaded = load_model(tmp_path / "m.model")
    np.testing.assert_allclose(loaded.predict_proba(X), model.predict_proba(X), atol=1e-6)
    named = loaded.head.named_steps
    assert list(named["scaling"].block_weights) == [1.0, 0.25]
    scaled = named["scaling"].transform(X)
    # Of a block of width w the mean square is 1 / sqrt(w), times the square of its weight.
    np.testing.assert_allclose(np.square(scaled[:, 40:]).mean(), 0.25**2 / np.sqrt(50), rtol=0.05)
    outliers = loaded.outliers.scaler.transform(X)[:, 40:]
    np.testing.assert_allclose(outliers, 0.25 * BlockScaler().fit_transform(X[:, 40:]), atol=1e-6)
    alone = train_model(joined, head, "texture")
    assert "block_weights" not in alone.training and alone.head.named_steps["scaling"].block_weights is None


def test_a_comparison_a_search_and_training_out_of_core_weigh_alike_and_others_can_be_chosen(
    joined, tmp_path
):
    X, y, fused = joined.select("net+texture"), joined.label.astype(str), "net+texture"
    folds = make_folds(y, joined.groups, joined.variant, n_folds=3)
    weighted, even = (
        make_head("softmax:C=0.1", widths=[40, 50], block_weights=weights) for weights in ([1, 0.25], [1, 1])
    )
    found = cross_validate(joined, [fused], ["softmax:C=0.1", even], folds, jobs=1)
    for name, head in (("softmax:C=0.1", weighted), (head_name(even), even)):
        expected = np.concatenate(
            [head.fit(X[one.training], y[one.training]).predict_proba(X[one.testing]) for one in folds]
        )
        np.testing.assert_allclose(found.of(fused, name).probabilities, expected, atol=1e-6)
    rows, tested = folds[0].training, folds[0].testing
    searched = cross_validate(joined, [fused], [TunedHead("softmax")], folds[:1], jobs=1)
    weights = {"widths": [40, 50], "block_weights": [1, 0.25]}
    spec = tune_head("softmax", X[rows], y[rows], joined.groups[rows], **weights).head
    expected = make_head(spec, **weights).fit(X[rows], y[rows]).predict_proba(X[tested])
    np.testing.assert_allclose(searched.probabilities, expected, atol=1e-6)
    joined.write(tmp_path / "t.parquet")
    model = train_out_of_core(tmp_path / "t.parquet", "softmax", fused)
    assert model.training["block_weights"] == [1.0, 0.25]
    in_memory = train_model(joined, "softmax", fused)
    np.testing.assert_allclose(model.predict_proba(X), in_memory.predict_proba(X), atol=1e-3)


def test_a_scaler_that_was_fitted_before_there_were_weights_goes_on():
    X = np.random.default_rng(0).random((20, 40))
    before = BlockScaler([40]).fit(X)
    del before.__dict__["block_weights"]
    np.testing.assert_array_equal(before.transform(X), BlockScaler([40]).fit_transform(X))
    assert before.get_params()["block_weights"] is None and "BlockScaler" in repr(before)


def test_training_on_all_columns_and_the_methods_paragraph_say_what_counts_less(joined, caplog):
    with caplog.at_level(logging.INFO, "bottlehead"):
        assert all_features(joined) == "net+texture"
    assert "together: net+texture; beside a network the weight of texture is 0.25" in caplog.text
    told = {
        features: methods_paragraph(compare(joined, [features], ["softmax"], cv=2, jobs=1))["text"]
        for features in ("net", "net+texture")
    }
    words = "beside a network, descriptions by hand with the weight 0.25"
    assert words in told["net+texture"] and words not in told["net"]
