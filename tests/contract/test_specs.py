"""Features specs with parameters: what they mean, what is refused, and that every command takes such columns."""

import inspect
import json
import pickle
import re

import numpy as np
import pytest
from builders import n_stored, run, write_textures
from sklearn.base import clone

from classify import make_head
from featurize import (
    GLCM,
    LBP,
    BottleheadError,
    Color,
    FeatureTable,
    InceptionV3,
    Nuisance,
    Shape,
    extract,
    make_extractor,
)

SPELLED = "glcm:haralick,distances=1/2/4,average=no,levels=64"
OTHERWISE = "glcm:levels=64,average=no,distances=1/2/4,properties=haralick"


@pytest.mark.parametrize("spec, extractor", [
    (SPELLED, GLCM("haralick", levels=64, distances=(1, 2, 4), average=False)),
    (OTHERWISE, GLCM("haralick", levels=64, distances=(1, 2, 4), average=False)),
    ("glcm:angles=0/22.5,average=yes", GLCM(angles=(0, 22.5))),
    ("glcm: channels = rgb , haralick", GLCM("haralick", channels="rgb")),
    ("lbp:radii=1/2/3", LBP()), ("lbp:radii=2", LBP((2,))),
    ("glcm:preprocess=grayscale/crop:100", GLCM(preprocess=("grayscale", "crop:100"))),
    ("inception_v3:mixed8,size=150,weights=random:3", InceptionV3("random:3", "mixed8", size=150)),
    ("inception_v3:size=299,weights=random", InceptionV3("random")),
])  # fmt: skip
def test_a_spec_gives_the_arguments_of_the_class_and_is_the_name_as_typed(spec, extractor):
    made = make_extractor(spec)
    assert made.fingerprint() == extractor.fingerprint()
    copied = pickle.loads(pickle.dumps(made))  # noqa: S301 - our own
    for same in (made, clone(made), copied):
        assert (same.name, same.fingerprint()) == (spec, extractor.fingerprint())


def test_the_spec_goes_before_arguments_that_are_for_all_and_is_forgotten_with_other_settings():
    made = make_extractor("glcm:levels=64,preprocess=equalize", preprocess=["grayscale"], levels=8)
    assert (made.levels, tuple(made.preprocess)) == (64, ("equalize",))
    assert clone(made).set_params(store=None).name == made.name
    assert clone(made).set_params(levels=16).name == "glcm"


@pytest.mark.parametrize("spec, message, hint", [
    ("glcm:levles=64", "the features spec 'glcm:levles=64' has no parameter levles; perhaps levels is meant",
     "its parameters are angles, average, channels, distances, levels, preprocess, properties"),
    ("glcm:store=x", "has no parameter store", "its parameters are"),
    ("color:bins=3", "has no parameter bins", "its parameters are preprocess"),
    ("mobilenet_0.25_128:backbone=resnet50", "has no parameter backbone", "its parameters are"),
    ("glcm:levels=many", "sets levels to 'many', which is no whole number", "give levels=a whole number"),
    ("glcm:levels=1.5", "sets levels to '1.5', which is no whole number", "give levels=a whole number"),
    ("glcm:levels=1/2", "sets levels to '1/2', which is no whole number", "give levels=a whole number"),
    ("glcm:angles=0/up", "sets angles to '0/up', which is no number", "between its values"),
    ("glcm:distances=1//2", "sets distances to '1//2', which is no whole number", "between its values"),
    ("glcm:average=False", "sets average to 'False', which is neither yes nor no", "give average=yes or no"),
    ("glcm:levels=8,levels=8", "sets levels twice", "give one value of levels"),
    ("glcm:five,properties=five", "sets properties twice", "give one value of properties"),
    ("glcm:levels=", "'levels=' in the features spec 'glcm:levels=' is no parameter with a value", "write family:"),
    ("glcm:five,haralick", "is no features spec", "separate several features with spaces"),
    ("lbp:3,radii=2", "lbp has no option '3'", "write lbp"),
    ("glcm,levels=8", "there are no features named glcm,levels=8", "separate several features with spaces"),
    ("my.keras,size=64,mean=0", "there are no features named my.keras,", "write my.keras:size=64,mean=0, or separate"),
    ("glcm,lbp", "there are no features named glcm,lbp", "separate several features with spaces"),
    ("inception_v3:size=8,weights=random", "the input size of inception_v3 is 8", "give 32 to 1024 pixels"),
    ("inception_v3:size=big", "sets size to 'big', which is no whole number", "give size=a whole number"),
])  # fmt: skip
def test_what_is_no_spec_is_refused_with_what_is_accepted(spec, message, hint):
    with pytest.raises(BottleheadError) as caught:
        make_extractor(spec).settings()
    assert message in str(caught.value) and hint in caught.value.hint


@pytest.mark.parametrize("head, features, what", [
    ("svm:C=", "glcm:levels=", "is no parameter with a value"),
    ("svm:=3", "glcm:=3", "is no parameter with a value"),
    ("svm:C=1,C=2", "glcm:levels=1,levels=2", "twice"),
    ("svm:gama=1", "glcm:levles=1", "is meant"),
])  # fmt: skip
def test_specs_of_heads_and_of_features_fail_in_the_same_words(head, features, what):
    for make, spec in ((make_head, head), (make_extractor, features)):
        with pytest.raises(BottleheadError, match=what):
            make(spec)


def test_every_parameter_of_our_families_can_be_written_in_a_spec():
    """An argument whose annotation the grammar does not know would be read as a word."""
    for made in (GLCM, LBP, Color, Shape, Nuisance, InceptionV3):
        for name, one in inspect.signature(made).parameters.items():
            assert one.annotation is not one.empty, (made, name)


# -- columns ---

ODD = ["glcm:haralick,distances=1/2,average=no", "lbp:radii=1/2"]


@pytest.fixture(scope="module")
def extracted(tmp_path_factory):
    folder = tmp_path_factory.mktemp("odd")
    photos = write_textures(folder / "photos")
    for name in ("t.parquet", "t.npz"):
        done = run("featurize", "extract", photos, "-o", folder / name, "--store", folder / "store",
                   "--features", *ODD)  # fmt: skip
        assert done.status == 0, done.err
    return folder


def test_columns_of_such_names_are_read_back_as_they_were(extracted):
    one, other = (FeatureTable.read(extracted / name) for name in ("t.parquet", "t.npz"))
    assert one.features == other.features == ODD
    for name in ODD:
        assert np.array_equal(one.vectors[name], other.vectors[name])
        assert one.metadata["features"][name]["spec"] == name
    assert one.vectors[ODD[0]].shape[1] == 22 * 2 * 4


def test_another_spelling_is_served_by_the_store_and_folders_have_plain_names(extracted):
    store = extracted / "store"
    before = n_stored(store)
    again = extract(extracted / "photos", ["glcm:average=no,haralick,distances=1/2"], store=store)
    assert n_stored(store) == before
    assert np.array_equal(
        next(iter(again.vectors.values())), FeatureTable.read(extracted / "t.npz").vectors[ODD[0]]
    )
    assert all(not set("/=,:") & set(path.name) for path in store.iterdir())
    with pytest.raises(BottleheadError, match="glcm and glcm:five are the same numbers"):
        extract(extracted / "photos", ["glcm", "glcm:five"], store=store)


def test_like_makes_columns_of_such_names_again(extracted, tmp_path):
    like = ["--like", extracted / "t.parquet", "--store", tmp_path / "store", "-o", tmp_path / "new.npz"]
    done = run("featurize", "extract", extracted / "photos", *like, "--features", ODD[1])
    assert done.status == 0, done.err
    new, old = FeatureTable.read(tmp_path / "new.npz"), FeatureTable.read(extracted / "t.npz")
    assert new.features == [ODD[1]] and np.array_equal(new.vectors[ODD[1]], old.vectors[ODD[1]])


def test_compare_takes_such_columns_and_names_them_in_all_it_writes(extracted, tmp_path):
    both = "+".join(ODD)
    done = run("evaluate", "compare", extracted / "t.parquet", "--features", *ODD, both, "--heads", "softmax",
               "--cv", "2", "--json", tmp_path / "r.json", "--report", tmp_path / "r.html")  # fmt: skip
    assert done.status == 0, done.err
    named = [one["features"] for one in json.loads((tmp_path / "r.json").read_text())["results"]]
    page = (tmp_path / "r.html").read_text()
    assert set(named) == {*ODD, both} and all(name in page for name in named)
    anchors, links = set(re.findall(r'id="([^"]+)"', page)), set(re.findall(r'href="#([^"]+)"', page))
    assert links <= anchors and not any(re.search(r"[\s/,=]", anchor) for anchor in anchors)


def test_curve_takes_a_column_of_such_a_name(extracted, tmp_path):
    done = run("evaluate", "curve", extracted / "t.npz", "--features", ODD[1], "--head", "softmax",
               "--json", tmp_path / "c.json")  # fmt: skip
    assert done.status == 0, done.err
    assert ODD[1] in (tmp_path / "c.json").read_text()


def test_a_model_takes_photos_and_tables_of_another_spelling(extracted, tmp_path):
    table, model = extracted / "t.parquet", tmp_path / "m.model"
    done = run("classify", "train", table, "-o", model, "--features", "+".join(ODD), "--head", "softmax")
    assert done.status == 0, done.err
    other = tmp_path / "other.npz"
    specs = ["lbp:radii=1/2", "glcm:average=no,haralick,distances=1/2"]
    extract(extracted / "photos", ["glcm", *specs], store=extracted / "store").write(other)
    own, same = (run("classify", "predict", model, one, "--format", "csv").out for one in (table, other))
    assert own == same and own.count("\n") == 17
    photos = run(
        "classify", "predict", model, extracted / "photos", "--format", "csv", "--store", extracted / "store"
    )
    assert photos.out.count("\n") == 17
    assert run("evaluate", "test", model, other, "--json", tmp_path / "test.json").status == 0


def test_a_test_table_of_another_spelling_is_compared(extracted, tmp_path):
    table = FeatureTable.read(extracted / "t.npz")
    specs = ["glcm:average=no,haralick,distances=1/2"]
    other = extract(extracted / "photos", specs, store=extracted / "store")
    for some, rows, name in ((table, slice(None, None, 2), "train"), (other, slice(1, None, 2), "test")):
        some.filter(np.arange(16)[rows]).write(tmp_path / f"{name}.npz")
    done = run("evaluate", "compare", tmp_path / "train.npz", "--features", ODD[0], "--heads", "softmax",
               "--test", tmp_path / "test.npz")  # fmt: skip
    assert done.status == 0, done.err


def test_weights_are_given_to_a_network_by_its_family(tmp_path):
    photos = write_textures(tmp_path / "photos", 1)
    (tmp_path / "x.h5").write_bytes(b"no weights")
    argv = ["--features", "inception_v3:mixed8,size=150", "--weights", f"inception_v3={tmp_path / 'x.h5'}"]
    done = run("featurize", "extract", photos, "-o", tmp_path / "t.npz", "--store", tmp_path / "s", *argv)
    assert done.status == 1 and f"{tmp_path / 'x.h5'} is something else" in done.error


def test_the_usual_input_size_is_the_same_features():
    one, other = (make_extractor(spec, weights="random") for spec in ("resnet50:size=224", "resnet50"))
    assert one.fingerprint() == other.fingerprint() and one.name != other.name


@pytest.mark.tensorflow
def test_a_network_runs_at_another_input_size():
    rgb = np.random.default_rng(0).integers(0, 256, (90, 90, 3), dtype=np.uint8)
    small = make_extractor("mobilenet_0.25_128:conv_pw_3_relu,size=64", weights="random")
    assert small.transform([rgb]).shape == (1, 32)
