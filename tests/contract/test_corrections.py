"""Corrections of labels: files, tables, models and reports that tell of them."""

import json
from pathlib import Path

import numpy as np
import pytest
from builders import digest_of, made_table, run

from classify import correct_labels, load_model, train_model
from evaluate import compare, learning_curve
from evaluate import test as try_model
from featurize import FeatureTable

TABLE = {
    "image": ["a.jpg", "b.jpg", "copy.jpg", "c.jpg", "b.jpg", "d.jpg"],
    "sha256": [digest_of(n) for n in (0, 1, 0, 2, 1, 3)],
    "label": ["ant", "bee", "ant", "bee", "bee", None],
    "variant": [0, 0, 0, 0, 7, 0],
}


def small_table() -> FeatureTable:
    return FeatureTable.from_arrays({"x": np.arange(6.0)[:, None]}, **TABLE)


@pytest.fixture
def here(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("lines", "labels"),
    [
        ("image,label\nb.jpg,ant", "ant ant ant bee ant None"),  # the distorted copy follows
        ("image,label\na.jpg,bee", "bee bee bee bee bee None"),  # and so does the same photo elsewhere
        (f"sha256,label\n{digest_of(0).upper()},cat", "cat bee cat bee bee None"),
        ("label,image,why\nant,d.jpg,seen", "ant bee ant bee bee ant"),
        ("image,label\nb.jpg,", "ant ant bee None"),  # dropped
        ("image,label\nb.jpg,bee", "ant bee ant bee bee None"),
        ("image,label\nnowhere.jpg,bee\nb.jpg,ant", "ant ant ant bee ant None"),
        (f"image,sha256,label\n,{digest_of(2)},ant\nb.jpg,,ant", "ant ant ant ant ant None"),
        ("\ufeffimage,label\nb.jpg,ant\nb.jpg,ant", "ant ant ant bee ant None"),
    ],
)
def test_a_correction_counts_for_all_rows_of_its_content(here, lines, labels):
    small_table().write("t.parquet")
    Path("c.csv").write_text(lines, encoding="utf-8")
    done = run("classify labels t.parquet --labels c.csv -o new.parquet")
    assert done.status == 0, done.err
    assert " ".join(map(str, FeatureTable.read("new.parquet").label)) == labels


@pytest.mark.parametrize(
    ("lines", "error"),
    [
        ("image,label\na.jpg,ant\nb.jpg,bee\na.jpg,bee", "line 2 (a.jpg) and line 4 (a.jpg)"),
        ("image,label\na.jpg,ant\ncopy.jpg,", "line 2 (a.jpg) and line 3 (copy.jpg)"),
        (f"sha256,image,label\n{digest_of(0)},,ant\n,copy.jpg,bee", "line 3 (copy.jpg)"),
        ("image,label\n,ant", "line 2 of c.csv names no photo"),
        ("sha256,label\n12,ant", "line 2 of c.csv holds the SHA-256 '12'"),
        ("image,labels\na.jpg,ant", "columns image, labels"),
        ("name,label\na.jpg,ant", "columns name, label"),
        ("", "columns none"),
        ("image,label\na.jpg", "line 2 of c.csv is 'a.jpg'"),
        ("image,label\n" + "".join(f"{name},\n" for name in sorted({*TABLE["image"]})), "drop all 6 rows"),
    ],
)
def test_contradictions_and_lines_without_sense_are_errors(here, lines, error):
    small_table().write("t.parquet")
    Path("c.csv").write_text(lines)
    done = run("classify labels t.parquet --labels c.csv -o new.parquet")
    assert done.status == 1 and error in done.error and done.hint
    assert not Path("new.parquet").exists()


def test_a_name_of_several_photos_must_be_told_apart_by_content(here):
    table = FeatureTable.from_arrays(
        {"x": np.eye(2)}, image=["1.jpg"] * 2, sha256=[digest_of(0), digest_of(1)]
    )
    table.write("t.parquet")
    Path("c.csv").write_text("image,label\n1.jpg,ant\n")
    done = run("classify labels t.parquet --labels c.csv -o new.parquet")
    assert done.status == 1 and "2 photos of different content" in done.error and "sha256,label" in done.hint


def test_corrections_of_which_no_photo_is_known_are_an_error(here):
    small_table().write("t.parquet")
    Path("c.csv").write_text("image,label\nphotos/a.jpg,ant\nphotos/b.jpg,bee\n")
    done = run("classify labels t.parquet --labels c.csv -o new.parquet")
    assert (
        done.status == 1
        and "none of the 2 photos of c.csv is known here: line 2 (photos/a.jpg)" in done.error
    )
    assert "such as a.jpg" in done.hint and not Path("new.parquet").exists()


def test_unknown_photos_and_new_labels_are_told_with_their_lines(here):
    small_table().write("t.parquet")
    Path("c.csv").write_text("image,label\nx.jpg,ant\na.jpg,wasp\nc.jpg,bee\nd.jpg,bee\nb.jpg,\n")
    told = run("classify labels t.parquet --labels c.csv -o new.parquet").err
    assert "1 of 5 photos of c.csv are unknown here: line 2 (x.jpg)" in told
    assert "the label 'wasp' is new, for 1 photo: line 3 (a.jpg)" in told
    assert "2 corrected, 1 labelled, 1 dropped, 1 confirmed; 1 of them is a copy of the same bytes" in told


def test_a_label_corrected_twice_is_compared_with_the_first_one():
    table = correct_labels(correct_labels(small_table(), {"a.jpg": "bee"}), {"a.jpg": "cat"})
    assert table["label_before"].tolist() == ["ant", None, "ant", None, None, None]
    back = correct_labels(table, {"a.jpg": "ant"})
    assert (
        back.label.tolist() == TABLE["label"]
        and back["label_before"].tolist() == table["label_before"].tolist()
    )


def flipped(n_rows: int = 60, n_flipped: int = 6) -> tuple[FeatureTable, dict[str, str]]:
    """A table that any head gets right but for the first labels, which are wrong, and their corrections."""
    table = made_table(n_rows, separation=12)
    right = dict(zip(table.image[:n_flipped], table.label[:n_flipped], strict=True))
    wrong = ["bee" if label == "ant" else "ant" for label in right.values()]
    return table.with_column("label", [*wrong, *table.label[n_flipped:]]), right


def test_a_comparison_says_what_the_corrections_do_to_its_accuracy(here):
    table, right = flipped()
    confirmed = dict(zip(table.image[10:13], table.label[10:13], strict=True))
    corrected = correct_labels(table, right | confirmed | {table.image[59]: ""})
    found = compare(corrected, ["good"], ["softmax"], jobs=1)
    facts = found.corrections
    assert (facts.corrected, facts.confirmed, facts.labelled, facts.dropped) == (6, 3, 0, 1)
    assert (facts.tested, facts.disputed, facts.agreed) == (6, 6, 3)
    assert found.results[0].accuracy.mean == 1 and facts.accuracy_before.mean == 53 / 59
    (warning,) = [one for one in found.warnings if "corrected by hand" in one]
    for text in (warning, found.to_dict()["methods_paragraph"]["text"], str(found)):
        assert "6 labels were corrected by hand" in text and "89.8 %" in text
        assert "of the 6 tested photos with a corrected label the model disputes the old one in 6" in text
        assert ", and 3 that it agrees with were checked too" in text


def test_the_old_accuracy_is_that_of_the_same_predictions_under_the_old_labels():
    rng = np.random.default_rng(3)
    table = made_table(90, separation=1.5)
    names = rng.choice(table.image, 20, replace=False)
    corrected = correct_labels(table, {name: str(rng.choice(["ant", "bee", "cat"])) for name in names})
    found = compare(corrected, ["good"], ["softmax"], repeats=2, jobs=1)
    rows = found.predictions.to_frame()
    old = dict(zip(table.image, table.label, strict=True))
    expected = np.mean(
        [old[name] == label for name, label in zip(rows["image"], rows["predicted"], strict=True)]
    )
    assert found.corrections.accuracy_before.mean == pytest.approx(expected)


def test_commands_apply_corrections_as_the_table_with_them_would(here):
    table, right = flipped()
    table.write("t.parquet")
    Path("c.csv").write_text("image,label\n" + "".join(f"{name},{label}\n" for name, label in right.items()))
    assert run("classify labels t.parquet --labels c.csv -o new.parquet").status == 0
    given, found = [], []
    for words in ("t.parquet --labels c.csv", "new.parquet"):
        model = f"{len(given)}.model"
        assert run(f"classify train {words} --features good -o {model}").status == 0
        given.append(load_model(model).training)
        for command in (f"compare {words} --features good --heads softmax", f"test {model} {words}"):
            done = run(f"evaluate {command} --json j.json")
            assert done.status == 0 and "6 labels were corrected by hand" in done.out, done.err
            found.append(json.loads(Path("j.json").read_text()))
    assert given[0]["corrections"] == given[1]["corrections"] == {
        "corrected": 6, "confirmed": 0, "labelled": 0, "dropped": 0,
    }  # fmt: skip
    assert given[0]["data_digest"] == given[1]["data_digest"]
    assert [one | {"run": None} for one in found[:2]] == [one | {"run": None} for one in found[2:]]
    assert "labels    by hand: 6 corrected" in run("classify show 0.model").out
    assert found[1]["model"]["corrections"]["corrected"] == 6
    assert (
        "6 labels were corrected"
        in run("evaluate curve t.parquet --labels c.csv --features good --sizes 5").out
    )


def test_training_out_of_core_is_corrected_as_training_at_once(here):
    table, right = flipped()
    table.write("t.parquet")
    Path("c.csv").write_text("image,label\n" + "".join(f"{name},{label}\n" for name, label in right.items()))
    for options in ("", "--out-of-core"):
        assert (
            run(f"classify train t.parquet --labels c.csv --features good -o m.model {options}").status == 0
        )
        model = load_model("m.model")
        assert model.training["corrections"]["corrected"] == 6
        assert (
            model.training["data_digest"]
            == train_model(correct_labels(table, right), features="good").training["data_digest"]
        )


def test_corrections_come_before_the_relabelling(here):
    table, right = flipped()
    table.write("t.parquet")
    Path("c.csv").write_text("image,label\n" + "".join(f"{name},{label}\n" for name, label in right.items()))
    Path("map.csv").write_text("label,new_label\nant,insect\nbee,insect\ncat,cat\n")
    done = run(
        "evaluate compare t.parquet --features good --heads softmax --labels c.csv --relabel map.csv --json j.json"
    )
    assert done.status == 0, done.err
    facts = json.loads(Path("j.json").read_text())["corrections"]
    # Of the six, two bees were called ants, which is no mistake among insects, and two cats and two ants.
    merged = {"ant": "insect", "bee": "insect", "cat": "cat"}
    differ = sum(
        merged[old] != merged[right[name]] for name, old in zip(table.image, table.label[:6], strict=False)
    )
    assert facts["corrected"] == differ == facts["tested"] and facts["confirmed"] == 6 - differ


def test_a_correction_reaches_the_photo_of_a_test_table_by_either_name(here):
    table, _ = flipped(n_flipped=0)
    table.write("t.parquet")
    other = made_table(30, separation=12, start=100, image=[f"{n}.jpg" for n in range(30)])
    other.metadata["source"] = {"kind": "folder", "path": "/photos/new"}
    other.write("u.parquet")
    for name in ("4.jpg", "/photos/new/4.jpg"):
        Path("c.csv").write_text(f"image,label\n{name},ant\n")
        command = "evaluate compare t.parquet --features good --heads softmax --test u.parquet --labels c.csv"
        assert run(f"{command} --json j.json").status == 0
        assert json.loads(Path("j.json").read_text())["corrections"]["tested"] == 1


def test_corrections_of_a_model_that_knew_the_photos_are_told_of_the_test(here):
    table, right = flipped()
    found = try_model(train_model(table, features="good"), correct_labels(table, right))
    assert found.corrections.tested == 6 and found.to_dict()["corrections"]["accuracy_before"]["mean"] <= 1
    assert "corrections" not in found.to_dict()["model"]


def test_tables_without_corrections_say_nothing_of_them():
    table, _ = flipped()
    found = compare(table, ["good"], ["softmax"], jobs=1)
    assert found.corrections is None and "by hand" not in str(found)
    assert learning_curve(table, "good", sizes=[5], jobs=1).to_dict()["corrections"] is None
