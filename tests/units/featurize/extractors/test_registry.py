"""Families by spec, and those that other packages register: a class, a function, a transformer."""

import sys

import numpy as np
import pytest
from PIL import Image
from sklearn.base import clone
from sklearn.preprocessing import FunctionTransformer

from featurize import GLCM, BottleheadError, FunctionExtractor, extract, make_extractor
from featurize.extraction.run import run_extraction
from featurize.extractors.base import golden_image
from featurize.photos.source import list_source
from featurize.registry import FAMILIES, extractor_from_metadata

TEXTURE = [family for family in FAMILIES if family in ("glcm", "lbp", "color", "shape", "nuisance")]


@pytest.mark.parametrize("spec", [*TEXTURE, "glcm:haralick"])
def test_every_family_keeps_the_contract(spec, tmp_path):
    extractor = make_extractor(spec, preprocess=["median:3"], weights="none of its arguments")
    assert extractor.name == spec and extractor.preprocess == ["median:3"]
    values = extractor.transform([golden_image(), golden_image()[:40]])
    assert values.shape == (2, extractor.width) and values.dtype == np.float32 and np.isfinite(values).all()
    assert len(set(extractor.value_names)) == extractor.width
    assert clone(extractor).fingerprint() == extractor.fingerprint()
    again = extractor_from_metadata(extractor.record(values[0]))
    assert again.fingerprint() == extractor.fingerprint()
    np.testing.assert_array_equal(again.transform([golden_image()])[0], values[0])


MODULE = """
import numpy as np
from featurize.extractors.base import Extractor

def brightness(rgb):
    return [rgb.mean(), rgb.std()]

brightness.version = 1
brightness.value_names = ["mean", "sd"]

class Middle:
    version = "2024-05"
    def __init__(self, side=2):
        self.side = side
    def get_params(self, deep=True):
        return {"side": self.side}
    def transform(self, X):
        return np.array([x[: self.side, : self.side].mean(axis=(0, 1)) for x in X])

class Corner(Extractor):
    family, version = "corner", 1
    value_names = ("red", "green", "blue")
    def __init__(self, preprocess=(), store=None):
        self.preprocess, self.store = preprocess, store
    def settings(self):
        return {}
    def prepare(self, photo):
        return self.view(photo).rgb()[0, 0]
    def vectors(self, prepared):
        return np.stack(prepared).astype(np.float32)
"""


@pytest.fixture
def registered(tmp_path, monkeypatch):
    """An installed package that registers three families."""
    site = tmp_path / "site"
    (site / "own_families-1.0.dist-info").mkdir(parents=True)
    (site / "own_families.py").write_text(MODULE)
    (site / "own_families-1.0.dist-info" / "METADATA").write_text("Name: own-families\nVersion: 1.0\n")
    (site / "own_families-1.0.dist-info" / "entry_points.txt").write_text(
        "[featurize.extractors]\nbrightness = own_families:brightness\n"
        "middle = own_families:Middle\ncorner = own_families:Corner\n"
    )
    monkeypatch.syspath_prepend(str(site))
    yield
    sys.modules.pop("own_families", None)


@pytest.fixture
def photos(tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    for number in range(3):
        Image.fromarray(golden_image()[:, number * 30 :]).save(folder / f"{number}.png")
    return folder


def test_registered_families_are_cached_described_and_made_again(registered, photos, tmp_path):
    specs = ["brightness", "middle", "corner"]
    table = extract(photos, specs, store=tmp_path / "store")
    assert table.value_names("brightness") == ["mean", "sd"]
    np.testing.assert_allclose(table.vectors["brightness"][0, 0], golden_image().mean(), rtol=1e-6)
    np.testing.assert_array_equal(table.vectors["corner"][0], golden_image()[0, 0])
    assert run_extraction(list_source(photos), specs, store=tmp_path / "store").n_computed == 0
    for spec in specs:
        entry = table.metadata["features"][spec]
        assert extractor_from_metadata(entry).fingerprint() == entry["fingerprint"]
    stepped = make_extractor("brightness", preprocess=["crop:10"]).transform([golden_image()])
    np.testing.assert_allclose(stepped[0, 0], golden_image()[43:53, 59:69].mean(), rtol=1e-6)


def test_without_the_package_the_error_lists_families_and_says_how_they_come(registered, photos, tmp_path):
    entry = extract(photos, "corner", store=tmp_path / "store").metadata["features"]["corner"]
    with pytest.raises(BottleheadError, match=r"nuisance.*brightness, corner, middle"):
        make_extractor("brightnes")
    with pytest.raises(BottleheadError, match="install the package that registers"):
        extractor_from_metadata({**entry, "family": "cornr"})


def test_another_version_or_parameter_is_computed_anew(photos, tmp_path):
    def mean(rgb):
        return [rgb.mean()]

    def computed(extractor) -> int:
        return run_extraction(list_source(photos), extractor, store=tmp_path / "store").n_computed

    assert [computed(FunctionExtractor(mean, "mean", version)) for version in (1, 1, 2, "2")] == [3, 0, 3, 3]
    tops = [FunctionTransformer(np.asarray, kw_args={"dtype": d}) for d in ("float32", "float64")]
    prints = {FunctionExtractor(t, "top", 1).fingerprint() for t in (*tops, clone(tops[0]))}
    assert len(prints) == 2


def test_wrong_functions_are_refused_with_a_reason(photos, tmp_path):
    with pytest.raises(BottleheadError, match="give it a version"):
        extract(photos, FunctionExtractor(np.mean, "mean"), store=tmp_path / "store")
    growing = FunctionExtractor(lambda rgb: rgb[0, :, 0], "growing", 1)
    with pytest.raises(BottleheadError, match="as many numbers for every photo"):
        growing.transform([golden_image()[:, :7]])
    with pytest.raises(BottleheadError, match="not finite"):
        FunctionExtractor(lambda rgb: [np.nan], "nothing", 1).transform([golden_image()])
    strange = FunctionTransformer(np.asarray, kw_args={"dtype": object()})
    with pytest.raises(BottleheadError, match="a fingerprint cannot hold"):
        FunctionExtractor(strange, "strange", 1).fingerprint()


@pytest.mark.parametrize("name", ["group", "tab\tbed", ""])
def test_a_name_that_no_table_can_have_is_refused_before_any_photo(name, photos, tmp_path):
    seen = []
    watching = FunctionExtractor(lambda rgb: seen.append(rgb) or [1], name, 1, names=["n"])
    with pytest.raises(BottleheadError, match="features cannot be named"):
        extract(photos, watching, store=tmp_path / "store")
    assert not seen


def test_a_photo_that_takes_more_memory_than_there_is_ends_no_run(photos, tmp_path):
    def hungry(rgb):
        return [len(np.empty(1 << 55 if rgb.shape[1] == 98 else 9))]

    result = run_extraction(list_source(photos), FunctionExtractor(hungry, "hungry", 1), store=tmp_path / "s")
    assert [reason for _, reason in result.rejects] == ["too large for the memory of this machine"]
    assert len(result.table) == 2


def test_extractor_objects_pass_through_and_options_are_checked():
    extractor = GLCM()
    assert make_extractor(extractor) is extractor
    with pytest.raises(BottleheadError, match="choose five or haralick"):
        make_extractor("glcm:six").fingerprint()
    with pytest.raises(BottleheadError, match="lbp has no option"):
        make_extractor("lbp:9")


def test_a_description_that_makes_no_extractor_is_an_error_that_says_so():
    entry = {"spec": "glcm", "family": "glcm", "params": {"foo": 1}}
    with pytest.raises(BottleheadError, match="the features glcm cannot be made as they are described"):
        extractor_from_metadata(entry)
    entry = {"spec": "inception_v3", "family": "inception_v3", "params": {}, "weights": {"source": "random"}}
    with pytest.raises(BottleheadError, match="is no seed"):
        extractor_from_metadata(entry).fingerprint()
