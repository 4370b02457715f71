"""Extractors by scikit-learn's rules, on photos: its own checks make arrays of numbers, which are no photos."""

from copy import deepcopy

import numpy as np
import pandas as pd
import polars as pl
import pytest
import sklearn
from builders import write_photos
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils import estimator_checks

from featurize import GLCM, LBP, Color, FunctionExtractor, Nuisance, Shape, Texture


def brightness(rgb):
    """The mean of each channel."""
    return rgb.mean(axis=(0, 1))


EXTRACTORS = {
    "glcm": GLCM(),
    "lbp": LBP(),
    "color": Color(),
    "shape": Shape(),
    "texture": Texture(),
    "nuisance": Nuisance(),
    "function": FunctionExtractor(brightness, "brightness", 1, ["r", "g", "b"]),
}


@pytest.fixture(scope="module")
def paths(tmp_path_factory):
    """Names of eight photos, none alike another."""
    folder = tmp_path_factory.mktemp("photos")
    write_photos(folder, [f"{number}.png" for number in range(8)], 32, 28)
    return [str(folder / f"{number}.png") for number in range(8)]


@pytest.fixture(params=EXTRACTORS)
def extractor(request):
    return clone(EXTRACTORS[request.param])


API_CHECKS = [
    estimator_checks.check_estimator_cloneable,
    estimator_checks.check_estimator_repr,
    estimator_checks.check_no_attributes_set_in_init,
    estimator_checks.check_get_params_invariance,
    estimator_checks.check_mixin_order,
    estimator_checks.check_valid_tag_types,
]


@pytest.mark.parametrize("check", API_CHECKS, ids=lambda check: check.__name__)
def test_scikit_learns_checks_that_need_no_rows_pass(extractor, check):
    check(type(extractor).__name__, extractor)


def test_the_vector_of_a_photo_depends_on_neither_order_nor_company_nor_fitting(extractor, paths):
    before = extractor.get_params()
    vectors = extractor.transform(paths)
    assert extractor.fit(paths) is extractor and extractor.get_params() == before
    assert vectors.shape == (8, len(extractor.get_feature_names_out())) and vectors.dtype == np.float32
    order = np.random.default_rng(0).permutation(8)
    np.testing.assert_array_equal(extractor.transform([paths[row] for row in order]), vectors[order])
    np.testing.assert_array_equal(np.vstack([extractor.transform([path]) for path in paths]), vectors)
    np.testing.assert_array_equal(extractor.fit_transform(paths, ["ant", "bee"] * 4), vectors)
    np.testing.assert_array_equal(clone(extractor).transform(paths), vectors)


def test_photos_of_every_kind_give_the_same_vectors_and_stay_as_they_are(extractor, paths):
    expected = extractor.transform(paths)
    column = np.array(paths, dtype=object)
    kinds = {
        "array": column,
        "column": column[:, None],
        "series": pd.Series(paths, index=list("hgfedcba")),
        "frame": pd.DataFrame({"path": paths}),
        "polars": pl.DataFrame({"path": paths}),
        "polars series": pl.Series("path", paths),
    }
    for kind, given in kinds.items():
        copy = deepcopy(given)
        np.testing.assert_array_equal(extractor.transform(given), expected, err_msg=kind)
        same = given == copy
        assert np.asarray(same).all(), kind


INDEXES = {
    "numbers": [5, 3, 7, 1, 0, 2, 6, 4],
    "text": list("hgfedcba"),
    "repeated": [1, 1, 2, 2, 3, 3, 4, 4],
    "levels": pd.MultiIndex.from_product([["a", "b"], range(4)]),
}


@pytest.mark.parametrize("index", INDEXES)
def test_the_index_of_photos_is_that_of_their_vectors(index, paths):
    """As a FunctionTransformer keeps it: else pandas pairs vectors with other rows, without a word."""
    extractor, series = Color(), pd.Series(paths, index=INDEXES[index], name="path")
    vectors, names = extractor.transform(paths), extractor.get_feature_names_out()
    control = FunctionTransformer(lambda frame: vectors, feature_names_out=lambda *given: names)
    control.set_output(transform="pandas")
    expected = control.fit_transform(series.to_frame())
    for given in (series, series.to_frame(), series.rename(None)):
        made = clone(extractor).set_output(transform="pandas").fit_transform(given)
        pd.testing.assert_frame_equal(made, expected)
        with sklearn.config_context(transform_output="pandas"):
            pd.testing.assert_index_equal(extractor.transform(given).index, expected.index)
        with sklearn.config_context(transform_output="polars"):
            assert isinstance(extractor.transform(given), pl.DataFrame)
        assert isinstance(extractor.transform(given), np.ndarray)


@pytest.mark.parametrize("output", ["pandas", "polars"])
@pytest.mark.parametrize("columns", ["path", ["path"]], ids=["series", "frame"])
def test_in_a_column_transformer_each_row_keeps_its_own_photo(extractor, columns, output, paths):
    truth = extractor.transform(paths)
    frame = pd.DataFrame({"path": paths, "row": np.arange(8.0)}).sample(frac=1, random_state=0)
    if output == "polars":
        frame = pl.from_pandas(frame)
    both = ColumnTransformer([("image", extractor, columns), ("number", "passthrough", ["row"])])
    made = both.set_output(transform=output).fit_transform(frame)
    rows = np.asarray(made["number__row"]).astype(int)
    assert len(made) == 8 and sorted(rows) == list(range(8))
    vectors = np.asarray(made[[name for name in made.columns if name.startswith("image__")]])
    np.testing.assert_array_equal(vectors, truth[rows])


def test_a_pipeline_on_a_shuffled_frame_learns_what_it_should(paths):
    labels = pd.Series(["ant", "bee"] * 4, index=list("abcdefgh"))
    frame = pd.DataFrame({"path": paths}, index=labels.index).sample(frac=1, random_state=1)
    head = make_pipeline(Texture(), LogisticRegression()).set_output(transform="pandas")
    head.fit(frame["path"], labels[frame.index])
    assert (head.predict(frame["path"]) == labels[frame.index]).all()
