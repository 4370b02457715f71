"""Files that may not be read or contradict themselves, names that hold +, and numbers beyond all range."""

import os
import warnings
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from builders import closed, digest_of, made_table, run, write_photos

from classify import choose_threshold, load_model, make_head, predict_images, save_model, train_model
from featurize import BottleheadError, FeatureTable

COSTS = "label,predicted,cost\nant,bee,{}\nbee,ant,1\n{},bee,{}\n"
ONE, ELSE = digest_of(1), digest_of(2)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The current folder: a table of two labels, a model of it, and photos."""
    monkeypatch.chdir(tmp_path)
    made_table(labels=("ant", "bee")).write("t.parquet")
    made_table(labels=("ant", "bee")).write("t.npz")
    save_model(train_model(FeatureTable.read("t.parquet"), jobs=1), "m.model")
    write_photos(tmp_path / "photos", ["ant/0.png", "bee/0.png"])
    return tmp_path


@pytest.mark.parametrize(
    ("option", "text", "named"),
    [
        ("train t.parquet -o n --positive ant --costs", COSTS.format(1, "ant", 1000), "ant, bee"),
        ("train t.parquet -o n --positive ant --costs", COSTS.format(1000, " ant ", 1), "ant, bee"),
        ("train t.parquet -o n --relabel", "label,new_label\nant,a\nbee,b\nant,c\n", "ant"),
        ("compare t.parquet --superclass", "superclass,label\na,ant\nb,bee\nb,ant\n", "ant"),
        ("compare t.parquet --folds", f"sha256,fold\n{ONE},0\n{ELSE},1\n{ONE.upper()},1\n", ONE),
    ],
)
def test_two_lines_that_contradict_each_other_are_refused_with_both_numbers(folder, option, text, named):
    Path("map.csv").write_text(text)
    outcome = run(f"{'evaluate' if 'compare' in option else 'classify'} {option} map.csv")
    assert outcome.status == 1
    assert outcome.error == f"map.csv names {named} twice, in line 2 and again in line 4"


@pytest.mark.parametrize(
    ("option", "what"),
    [
        ("classify train t.parquet -o n --taxonomy", "the taxonomy"),
        ("classify train t.parquet -o n --relabel", "the relabelling"),
        ("classify train t.parquet -o n --labels", "the corrections"),
        ("classify train t.parquet -o n --positive ant --costs", "the costs"),
        ("evaluate compare t.parquet --superclass", "the super-classes"),
        ("evaluate compare t.parquet --folds", "the folds file"),
    ],
)
def test_a_file_that_is_missing_or_something_else_is_told_in_plain_words(folder, option, what):
    gone, there, other = (run(f"{option} {name}") for name in ("gone.csv", "photos", "m.model"))
    assert gone.error == f"{what} gone.csv cannot be read: there is no such file"
    assert gone.hint.startswith("check the path, or make it as a CSV file in UTF-8; its first line must be ")
    assert (there.error, there.hint) == (
        f"{what} photos cannot be read: it is a folder",
        "give the path of a file",
    )
    assert other.error.startswith(f"{what} m.model ") and other.hint and "codec" not in other.error
    assert {gone.status, there.status, other.status} == {1}


@pytest.mark.skipif(os.name == "nt", reason="Windows has other permissions")
@pytest.mark.parametrize(
    ("file", "words"),
    [
        ("t.parquet", "evaluate compare t.parquet --heads dummy --cv 2 -j 1"),
        ("t.npz", "classify train t.npz -o n"),
        ("t.parquet", "classify predict m.model t.parquet"),
        ("m.model", "classify show m.model"),
        ("map.csv", "classify train t.parquet -o n --relabel map.csv"),
        ("map.csv", "evaluate compare t.parquet --folds map.csv"),
        ("list.csv", "featurize scan list.csv"),
        ("list.parquet", "featurize scan list.parquet"),
        ("list.parquet", "classify predict m.model list.parquet"),
        ("photos", "featurize scan photos"),
        ("g.pb", "featurize extract photos -o n.parquet --features g.pb --store s"),
        ("w.h5", "featurize extract photos -o n.parquet --features mobilenet_v2 --weights w.h5 --store s"),
    ],
)
def test_what_may_not_be_read_is_neither_missing_nor_damaged(folder, file, words):
    for name in ("map.csv", "list.csv", "g.pb", "w.h5"):
        Path(name).write_text("image,label\nphotos/ant/0.png,ant\n")
    pq.write_table(pa.table({"image": ["photos/ant/0.png"]}), "list.parquet")
    run(words)  # so that all modules are imported, which may lie in a folder of root's
    with closed(folder / file):
        outcome = run(words)
    assert (outcome.status, outcome.error) == (1, f"{file} may not be read: permission is missing")
    # The same of the folder that it lies in.
    Path("in").mkdir()
    Path(file).rename(f"in/{file}")
    with closed(folder / "in"):
        outcome = run(words.replace(file, f"in/{file}"))
    assert (outcome.status, outcome.error) == (1, f"in/{file} may not be read: permission is missing")


def test_a_photo_that_is_missing_or_closed_is_named(folder):
    run("featurize extract photos -o p.parquet --features color --store s -q")
    table = FeatureTable.read("p.parquet")
    save_model(train_model(table.filter([0, 0, 0, 1, 1, 1]), jobs=1), "p.model")
    for words in ("predict p.model photos/no.png", "neighbours p.model photos/no.png --table p.parquet"):
        assert run(f"classify {words} --store s").error == "there is no photos/no.png"
    if os.name != "nt":
        with closed(folder / "photos"):
            outcome = run("classify neighbours p.model photos/ant/0.png --table p.parquet --store s")
        why = "photos/ant/0.png cannot be used: cannot be read: Permission denied"
        assert (outcome.status, outcome.error) == (1, why)


def test_a_test_table_that_holds_all_photos_is_told_as_that(folder):
    outcome = run("evaluate compare t.parquet --test t.parquet")
    assert outcome.status == 1
    assert outcome.error.startswith("all 60 photos to train on are in the test table as well")


# -- names that hold + --------------------------------------------------------------------------------


def plus_table(*names: str) -> FeatureTable:
    table = made_table()
    rng = np.random.default_rng(3)
    vectors = {n: table.vectors["good"][:, : 2 + i] + rng.normal(size=1) for i, n in enumerate(names)}
    return FeatureTable(table.ids, {n: v.astype(np.float32) for n, v in vectors.items()})


def test_a_model_of_features_whose_names_hold_plus_is_saved_read_and_predicts(tmp_path):
    table = plus_table("my+net", "z", "z+my")
    plain = plus_table("a", "b", "c")
    assert table.parts("my+net+z") == ["my+net", "z"] and table.parts("z+my") == ["z+my"]
    assert table.widths("z+z+my+my+net") == [3, 4, 2]
    save_model(train_model(table, jobs=1), tmp_path / "m")
    model = load_model(tmp_path / "m")
    assert (model.parts, model.widths) == (["my+net", "z", "z+my"], [2, 3, 4])
    table.write(tmp_path / "t.parquet")
    found = predict_images(model, tmp_path / "t.parquet")
    expected = train_model(plain, jobs=1).predict_proba(plain.select("a+b+c"))
    np.testing.assert_allclose(found.probabilities, expected, rtol=1e-6)
    assert run("classify", "show", tmp_path / "m").out.count("numbers per photo") == 3


def test_they_are_compared_and_trained_by_default(folder):
    plus_table("my+net", "z").write("p.parquet")
    out = run("evaluate compare p.parquet --heads softmax --cv 3 -q").out
    assert "my+net+z" in out and run("classify train p.parquet -o p.model --features my+net").status == 0


def test_two_readings_are_an_error_that_names_both(folder):
    plus_table("a", "b", "a+b", "c").write("p.parquet")
    assert FeatureTable.read("p.parquet").parts("a+b") == ["a+b"]
    outcome = run("classify train p.parquet -o p.model --features a+b+c")
    assert outcome.status == 1
    for reading in ("'a' and 'b' and 'c'", "'a+b' and 'c'"):
        assert reading in outcome.error


# -- numbers beyond all range -------------------------------------------------------------------------


@pytest.mark.parametrize("most", [1e308, 1.7e308])
def test_the_largest_costs_decide_as_small_ones_of_the_same_ratio(most):
    rng = np.random.default_rng(0)
    label = np.array(["ant", "bee"])[np.arange(80) % 2]
    chance = np.clip(rng.normal(0.5 + 0.15 * (label == "ant"), 0.2), 0, 1)
    probabilities = np.column_stack([chance, 1 - chance])
    points = [
        choose_threshold(
            label, probabilities, ["ant", "bee"], "ant", {("ant", "bee"): top, ("bee", "ant"): top / 4}
        )
        for top in (1.0, most, 1e-300)
    ]
    assert points[0] == points[1] == points[2] and 0 < points[0].threshold < 1


@pytest.mark.parametrize("cost", [np.inf, np.nan, -1.0])
def test_costs_that_are_no_numbers_from_0_are_refused(cost):
    costs = {("ant", "bee"): cost, ("bee", "ant"): 1.0}
    with pytest.raises(BottleheadError, match="the costs hold ant,bee"):
        train_model(made_table(labels=("ant", "bee")), positive="ant", threshold=costs, jobs=1)


@pytest.mark.parametrize("weight", [1e300, 1e-300, np.inf, 10**400])
@pytest.mark.parametrize("head", ["softmax", "svm", "mlp", "sklearn.tree.DecisionTreeClassifier"])
def test_class_weights_out_of_range_are_refused(head, weight):
    from sklearn.pipeline import make_pipeline
    from sklearn.svm import SVC

    with pytest.raises(BottleheadError, match=r"has class_weight .* for ant"):
        make_head(f"{head}:class_weight={{'ant':{weight},'bee':1}}".replace("inf", "1e999"))
    with pytest.raises(BottleheadError, match=r"has class_weight .* for ant"):
        make_head(make_pipeline(SVC(class_weight={"ant": weight})))


@pytest.mark.parametrize(
    "head", ["softmax", "svm", "mlp:max_iter=20", "naive-bayes", "random-forest:n_estimators=5"]
)
@pytest.mark.parametrize("weight", [1e12, 1e-12])
def test_the_outermost_class_weights_give_numbers(head, weight):
    spec = f"{head}{',' if ':' in head else ':'}class_weight={{'ant':{weight},'bee':1,'cat':1}}"
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        model = train_model(made_table(), spec, "good", jobs=1)
        assert np.isfinite(model.predict_proba(made_table().select("good"))).all()


@pytest.mark.parametrize(
    ("command", "error", "hint"),
    [
        ("evaluate compare m.model", "m.model is a model, and a table is wanted", "classify show"),
        ("evaluate compare page.html", "page.html is an HTML page, and a table", "ends in .parquet or .npz"),
        ("evaluate compare none.xyz", "cannot tell the format of none.xyz", "another name"),
        ("featurize extract photos -o t.csv --features color", "tables are .parquet or .npz, not csv", ".to_csv("),
        ("classify train t.parquet -o m.h5", "a zip file, under the ending .h5", "classify export"),
        ("bottlehead fit photos -o m.onnx", "a zip file, under the ending .onnx", "classify export"),
        ("bottlehead fit t.parquet -o n.model --features color", "no image in t.parquet", "evaluate compare t.parquet"),
        ("featurize scan t.parquet", "no image can be used", "it is a table, which has vectors"),
    ],
)  # fmt: skip
def test_what_was_meant_is_told_where_another_file_is_given(folder, command, error, hint):
    (folder / "page.html").write_text("<!DOCTYPE html><title>x</title>")
    before = sorted(folder.iterdir())
    done = run(command)
    assert done.status == 1 and error in done.error and hint in done.hint
    assert sorted(folder.iterdir()) == before
