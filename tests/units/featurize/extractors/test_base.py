"""What all extractors share: they are transformers of scikit-learn, come back from a description, name wrong input."""

import os

import numpy as np
import pandas as pd
import pytest
from builders import noise
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import FeatureUnion, make_pipeline
from sklearn.utils.validation import check_is_fitted

from featurize import GLCM, LBP, BottleheadError, make_extractor
from featurize.extractors.base import golden_image
from featurize.registry import FAMILIES, extractor_from_metadata

CLASSICAL = [family for family in FAMILIES if family in ("glcm", "lbp", "color", "shape", "nuisance")]


@pytest.mark.parametrize(("extractor", "usual"), [
    (GLCM(angles=[0.0, 45.0, 90.0, 135.0]), GLCM()),
    (GLCM(levels=np.int64(16), distances=range(1, 3)), GLCM(levels=16, distances=(1, 2))),
    (GLCM(distances=np.array([1, 2]), angles=np.array([0, 90])), GLCM(distances=(1, 2), angles=(0, 90))),
    (LBP(radii=range(1, 4)), LBP()), (LBP(radii=np.arange(1, 3)), LBP(radii=(1, 2))),
])  # fmt: skip
def test_arguments_that_numpy_or_range_hold_are_kept_as_plain_ones(extractor, usual):
    record = extractor.record(())
    assert record["fingerprint"] == usual.fingerprint()
    assert extractor_from_metadata(record).fingerprint() == usual.fingerprint()


def test_it_works_inside_pipeline_union_and_grid_search():
    photos = [np.asarray(noise(16, 16, seed, high=high)) for seed in range(6) for high in (1, 256)]
    union = FeatureUnion([("near", GLCM()), ("far", GLCM(distances=(4,)))])
    assert union.fit_transform(photos).shape == (12, 10)
    head = make_pipeline(GLCM(), LogisticRegression())
    search = GridSearchCV(head, {"glcm__levels": [8, 32]}, cv=3).fit(photos, [0, 1] * 6)
    assert search.best_score_ == 1.0
    check_is_fitted(head[:1])
    assert repr(clone(GLCM(levels=16))) == "GLCM(levels=16)"


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such names")
def test_a_file_may_have_any_name_whether_its_vector_is_stored_or_not(tmp_path):
    path, photo = tmp_path / os.fsdecode(b"caf\xe9.png"), noise()
    photo.save(path)
    expected = GLCM().transform([np.asarray(photo)])
    for extractor in (GLCM(), GLCM(store=tmp_path / "store")):
        np.testing.assert_array_equal(extractor.transform([path]), expected)
    np.testing.assert_array_equal(GLCM().transform(pd.DataFrame({"image": [path]})), expected)
    mixed = GLCM(store=tmp_path / "store").transform([np.asarray(photo), path])
    np.testing.assert_array_equal(mixed, np.repeat(expected, 2, axis=0))


@pytest.mark.parametrize(("given", "message"), [
    ("photo.jpg", "give a list of paths"),
    (np.zeros((4, 4, 3), np.uint8), "give a list of images"),
    ([np.zeros((4, 4, 3))], "give uint8"), (["missing.jpg"], "missing.jpg: cannot be read"),
])  # fmt: skip
def test_wrong_input_and_unknown_specs_are_named(given, message):
    with pytest.raises(BottleheadError, match=message):
        GLCM().transform(given)
    with pytest.raises(BottleheadError, match="the families are inception_v3, glcm"):
        make_extractor("incepton_v3")


@pytest.mark.parametrize("spec", [*CLASSICAL, "glcm:haralick"])
def test_every_family_keeps_the_contract(spec):
    extractor = make_extractor(spec, preprocess=["median:3"], weights="none of its arguments")
    assert extractor.name == spec and extractor.preprocess == ["median:3"]
    values = extractor.transform([golden_image(), golden_image()[:40]])
    assert values.shape == (2, extractor.width) and values.dtype == np.float32 and np.isfinite(values).all()
    assert clone(extractor).fingerprint() == extractor.fingerprint()
    again = extractor_from_metadata(extractor.record(values[0]))
    assert again.fingerprint() == extractor.fingerprint()
    np.testing.assert_array_equal(again.transform([golden_image()])[0], values[0])


def test_a_description_that_makes_no_extractor_is_an_error_that_says_so():
    entry = {"spec": "glcm", "family": "glcm", "params": {"foo": 1}}
    with pytest.raises(BottleheadError, match="the features glcm cannot be made as they are described"):
        extractor_from_metadata(entry)
    with pytest.raises(BottleheadError, match="install the package that registers"):
        extractor_from_metadata({"spec": "cornr", "family": "cornr", "params": {}})
    entry = {"spec": "inception_v3", "family": "inception_v3", "params": {}, "weights": {"source": "random"}}
    with pytest.raises(BottleheadError, match="is no seed"):
        extractor_from_metadata(entry).fingerprint()
