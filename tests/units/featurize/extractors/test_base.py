"""Extractors as scikit-learn transformers, shown on GLCM: clone, pipelines, output containers, workers."""

import os

import numpy as np
import pandas as pd
import pytest
from joblib import Parallel, delayed
from PIL import Image
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import FeatureUnion, make_pipeline
from sklearn.utils.validation import check_is_fitted

from featurize import GLCM, LBP, BottleheadError, make_extractor
from featurize.registry import extractor_from_metadata


@pytest.fixture
def photos() -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    smooth = [np.full((16, 16, 3), level, np.uint8) for level in range(0, 120, 10)]
    rough = [rng.integers(0, 256, (16, 16, 3), dtype=np.uint8) for _ in range(12)]
    return smooth + rough


def test_clone_keeps_parameters_and_set_params_refuses_unknown_ones():
    copied = clone(GLCM(levels=16).set_output(transform="pandas"))
    assert copied.levels == 16
    assert isinstance(copied.transform([np.zeros((4, 4, 3), np.uint8)]), pd.DataFrame)
    with pytest.raises(BottleheadError, match="GLCM has no parameter level"):
        GLCM().set_params(level=3)


@pytest.mark.parametrize(
    ("extractor", "usual"),
    [
        (GLCM(levels=np.int64(16), distances=range(1, 3)), GLCM(levels=16, distances=(1, 2))),
        (GLCM(distances=np.array([1, 2]), angles=np.array([0, 90])), GLCM(distances=(1, 2), angles=(0, 90))),
        (LBP(radii=range(1, 4)), LBP()),
        (LBP(radii=np.arange(1, 3)), LBP(radii=(1, 2))),
    ],
)
def test_arguments_that_numpy_or_range_hold_are_kept_as_plain_ones(extractor, usual):
    record = extractor.record(())
    assert record["fingerprint"] == usual.fingerprint()
    assert extractor_from_metadata(record).fingerprint() == usual.fingerprint()


def test_it_works_inside_pipeline_union_and_grid_search(photos):
    y = np.array([0] * 12 + [1] * 12)
    union = FeatureUnion([("near", GLCM()), ("far", GLCM(distances=(4,)))])
    assert union.fit_transform(photos).shape == (24, 10)
    head = make_pipeline(GLCM(), LogisticRegression())
    search = GridSearchCV(head, {"glcm__levels": [8, 32]}, cv=3).fit(photos, y)
    assert search.best_score_ == 1.0
    check_is_fitted(head[:1])


def test_set_output_gives_named_columns_and_float32(photos):
    frame = GLCM().set_output(transform="pandas").fit_transform(photos[:2])
    assert list(frame.columns) == list(GLCM().get_feature_names_out())
    assert set(frame.dtypes) == {np.dtype(np.float32)}


def test_workers_give_the_same_vectors(photos):
    parts = Parallel(n_jobs=2)(delayed(GLCM().transform)(photos[i::2]) for i in range(2))
    np.testing.assert_array_equal(parts[0], GLCM().transform(photos[0::2]))


def test_files_and_arrays_give_the_same_vectors_and_the_store_changes_none(tmp_path, photos):
    paths = []
    for number, photo in enumerate(photos):
        paths.append(tmp_path / f"{number}.png")
        Image.fromarray(photo).save(paths[-1])
    expected = GLCM().transform(photos)
    np.testing.assert_array_equal(GLCM().transform(paths), expected)
    kept = GLCM(store=tmp_path / "store")
    np.testing.assert_array_equal(kept.transform(paths), expected)
    np.testing.assert_array_equal(kept.transform(paths[::-1]), expected[::-1])
    np.testing.assert_array_equal(GLCM().transform(pd.DataFrame({"image": paths})), expected)
    np.testing.assert_array_equal(kept.transform([*paths[:2], *photos[2:]]), expected)


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such names")
def test_a_file_may_have_any_name_whether_its_vector_is_stored_or_not(tmp_path, photos):
    path = tmp_path / os.fsdecode(b"caf\xe9.png")
    Image.fromarray(photos[-1]).save(path)
    expected = GLCM().transform(photos[-1:])
    for extractor in (GLCM(), GLCM(store=tmp_path / "store")):
        np.testing.assert_array_equal(extractor.transform([path]), expected)
        np.testing.assert_array_equal(extractor.transform([os.fsencode(path)]), expected)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("photo.jpg", "give a list of paths"),
        (np.zeros((4, 4, 3), np.uint8), "give a list of images"),
        ([np.zeros((4, 4, 3))], "give uint8"),
        (["missing.jpg"], "missing.jpg: cannot be read"),
    ],
)
def test_wrong_input_is_named(given, message):
    with pytest.raises(BottleheadError, match=message):
        GLCM().transform(given)


def test_unknown_specs_list_what_there_is():
    with pytest.raises(BottleheadError, match="the families are inception_v3, glcm"):
        make_extractor("incepton_v3")
    with pytest.raises(BottleheadError, match="has no option"):
        make_extractor("inception_v3:")


def test_repr_shows_what_was_given():
    assert repr(GLCM(levels=16)) == "GLCM(levels=16)"
