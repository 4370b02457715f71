"""`classify train` and `train_model`: which rows and features, which head, and what the model tells of it."""

import json
import logging
import os
import re
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from builders import described, made_table, members_of, run
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from classify import fit_head, load_model, make_head, train_model
from featurize import BottleheadError, FeatureTable


@pytest.fixture
def table(tmp_path) -> Path:
    described(made_table(separation=6.0)).write(tmp_path / "t.parquet")
    return tmp_path / "t.parquet"


def trained(table: Path, *options: str, name: str = "m"):
    """The model that `classify train` writes with these options, and what the command said."""
    outcome = run("classify", "train", table, "-o", table.parent / name, *options)
    assert outcome.status == 0, outcome.err
    return load_model(table.parent / name), outcome


def test_the_default_is_softmax_on_all_features_scaled_as_blocks_of_equal_weight(table):
    """By hand: standardised numbers, divided by the square root of the square root of their block's width."""
    model, outcome = trained(table)
    assert outcome.out == ""
    assert "train uses all rows" in outcome.err
    assert f"wrote {table.parent / 'm'}: softmax on good+noise, 3 labels" in outcome.err
    rows = FeatureTable.read(table)
    X = rows.select("good+noise").astype(np.float64)
    scaled = StandardScaler().fit_transform(X) / np.repeat([4**0.25, 2**0.25], [4, 2])
    expected = LogisticRegression(max_iter=1000).fit(scaled, rows.label.astype(str)).predict_proba(scaled)
    np.testing.assert_allclose(model.predict_proba(rows.select("good+noise")), expected, atol=1e-3)


def test_a_column_whose_name_could_mean_two_others_is_used_and_named(table):
    """Tables of older programs may hold one."""
    rows, few = FeatureTable.read(table), np.ones((60, 3), np.float32)
    FeatureTable(rows.ids, {**rows.vectors, "good+noise": few}, rows.metadata).write(table)
    model, outcome = trained(table, "--features", "good+noise")
    assert model.widths == [3]
    assert "the column good+noise is used, not good and noise side by side" in outcome.err
    model, outcome = trained(table, "--features", "noise+good")
    assert model.widths == [2, 4] and "side by side" not in outcome.err


def test_labels_of_few_photos_are_told_by_photos_and_not_by_copies(tmp_path):
    label = ["rust"] * 6 + ["scab"] * 4 + ["mould"] * 6
    variant = [0] * 10 + [0] + [1, 2, 3, 4, 5]
    image = [f"{number}.jpg" for number in range(10)] + ["m.jpg"] * 6
    X = np.random.default_rng(0).normal(size=(16, 3))
    FeatureTable.from_arrays({"x": X}, label=label, image=image, variant=variant).write(
        tmp_path / "t.parquet"
    )
    told = run("classify", "train", tmp_path / "t.parquet", "-o", tmp_path / "m.model").err
    assert "labels of fewer than 5 photos, too few to learn or test them: mould (1), scab (4)\n" in told


def test_a_class_of_ones_own_trains_and_loads_with_trust_only(table, monkeypatch):
    mine = "from sklearn.neighbors import NearestCentroid\nclass Centres(NearestCentroid): pass\n"
    (table.parent / "contract_centres.py").write_text(mine)
    monkeypatch.syspath_prepend(table.parent)
    words = ["classify", "train", table, "-o", table.parent / "m", "--head", "contract_centres.Centres"]
    refused = run(*words)
    assert refused.status == 1 and "not known to be safe: contract_centres.Centres" in refused.error
    assert "--trust contract_centres.Centres" in refused.hint and not (table.parent / "m").exists()
    trust = ["--trust", "contract_centres.Centres"]
    assert run(*words, *trust).status == 0
    predict = ["classify", "predict", table.parent / "m", table, "--format", "csv"]
    assert "contract_centres.Centres" in run(*predict).error
    lines = run(*predict, *trust).out.splitlines()[1:]
    assert all(line.split("/")[0] == line.split(",")[1] for line in lines) and len(lines) == 60
    assert run("classify", "show", table.parent / "m").status == 1
    assert "trusted   contract_centres.Centres" in run("classify", "show", table.parent / "m", *trust).out


@pytest.mark.parametrize(
    ("options", "spec"),
    [
        (["--head", "svm:C=1", "--set", "C=3", "gamma=0.5"], "svm:C=3,gamma=0.5"),
        (["--set", "C=3", "--set", "tol=0.01"], "softmax:C=3,tol=0.01"),
        (["--head", "naive-bayes", "--balanced"], "naive-bayes:class_weight=balanced"),
    ],
)
def test_an_option_is_the_same_as_writing_it_into_the_spec(options, spec, table):
    found, _ = trained(table, *options, "-q")
    written, _ = trained(table, "--head", spec, "-q", name="n")
    X = FeatureTable.read(table).select("good+noise")
    np.testing.assert_array_equal(found.predict_proba(X), written.predict_proba(X))
    assert found.training["head"] == spec


def test_a_relabelling_is_applied_kept_and_shown(table):
    lines = ["\ufefflabel,new_label", 'ant,"insect, red"', "bee,", "", "cat,mammal"]
    (table.parent / "map.csv").write_text("\n".join(lines), "utf-8")
    model, _ = trained(table, "--relabel", str(table.parent / "map.csv"))
    assert model.labels == ["insect, red", "mammal"]
    assert model.relabel == {"ant": "insect, red", "bee": "", "cat": "mammal"}
    assert model.training["rows"] == 40
    shown = run("classify", "show", table.parent / "m").out
    assert "insect, red  20 training photos" in shown and "bee → (dropped)" in shown


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "has the columns none"),
        ("old,new\na,b\n", "has the columns old, new"),
        ("label,new_label\nant\n", "line 2 .* is 'ant'"),
        ("label,new_label\nant,b\nbee,d,e\n", "line 3 .* is 'bee,d,e'"),
        ("label,new_label\n\udcff,a\n", "cannot be read"),
        ("label,new_label\nant,b\nant,c\n", "names ant twice, in line 2 and again in line 3"),
        ("label,new_label\nant,\n", "keeps no class"),
        ("label,new_label\nant,a\nbee,a\ncat,\n", "all 40 usable rows have the label a"),
        ("label,new_label\nant,a\n", "no new label for bee"),
    ],
)
def test_a_relabelling_that_does_not_fit_is_refused(text, message, table):
    (table.parent / "map.csv").write_bytes(text.encode(errors="surrogateescape"))
    outcome = run("classify", "train", table, "-o", table.parent / "m", "--relabel", table.parent / "map.csv")
    assert outcome.status == 1 and re.search(message, outcome.error)


def test_training_uses_the_training_and_validation_rows_that_have_a_label(table):
    rows = FeatureTable.read(table)
    split = np.array((["training"] * 3 + ["validation", "testing"]) * 12, dtype=object)
    label = [None, None, *rows.label[2:]]
    rows.with_column("split", split.tolist()).with_column("label", label).write(table)
    model, outcome = trained(table, "--head", "svm:C=3", "--seed", "3")
    assert "train uses the training and validation rows" in outcome.err
    assert "46 photos, 3 labels; 2 without a label left out" in outcome.err
    used = (split != "testing") & (np.arange(60) > 1)
    kept = rows.filter(used)
    head = make_head("svm:C=3", widths=[4, 2], seed=3)
    expected = fit_head(head, kept.select("good+noise"), kept.label, kept.groups)
    X = rows.select("good+noise")
    np.testing.assert_allclose(model.predict_proba(X), expected.predict_proba(X), atol=1e-6)
    assert model.seen(rows.sha256).tolist() == used.tolist()


def test_nuisance_is_learnt_from_only_when_named(separable, caplog):
    vectors = {"wide": separable.select("wide"), "nuisance": separable.select("noise")}
    table = FeatureTable.from_arrays(vectors, label=separable.label)
    with caplog.at_level(logging.INFO, "bottlehead"):
        assert train_model(table).features == "wide"
    assert "leaving out nuisance" in caplog.text
    assert train_model(table, features="wide+nuisance").features == "wide+nuisance"
    del table.vectors["wide"]
    assert train_model(table).features == "nuisance"
    del table.vectors["nuisance"]
    with pytest.raises(BottleheadError, match="has no features"):
        train_model(table)


def test_the_summary_counts_and_model_json_holds_it(separable, tmp_path):
    rows = separable.filter(np.tile(np.r_[0:20, 20:35, 40:50], 2))
    both = rows.with_column("variant", [0] * 45 + [9] * 45)
    both.write(tmp_path / "t.npz")
    model, _ = trained(tmp_path / "t.npz", "--head", "softmax:C=2", "--features", "wide", "--seed", "4")
    training = json.loads(members_of(tmp_path / "m")["model.json"])["training"]
    assert training == model.training
    assert (training["rows"], training["photos"], training["seed"]) == (90, 45, 4)
    assert training["photos_per_label"] == {"ant": 20, "bee": 15, "cat": 10}
    assert (training["head"], training["data_digest"]) == ("softmax:C=2", both.digest())
    assert "45 photos and 45 distorted copies" in run("classify", "show", tmp_path / "m").out


def test_same_table_and_seed_same_model_whatever_the_jobs(separable):
    X = separable.select("wide")
    one, other, changed = (
        train_model(separable, "mlp:max_iter=50", "wide", seed=seed, jobs=jobs).predict_proba(X)
        for seed, jobs in ((1, 1), (1, None), (2, 1))
    )
    np.testing.assert_allclose(one, other, atol=1e-6)
    assert np.abs(changed - one).max() > 1e-6


def test_photos_that_conflict_are_named_a_few_of_many_and_names_cannot_move_the_cursor(caplog):
    table = FeatureTable.from_arrays(
        {"x": np.arange(40)[:, None]},
        sha256=[f"{i // 20:064x}" for i in range(40)],
        image=[f"{i}\x1b[31m.jpg" for i in range(40)],
        label=["fern", "moss"] * 20,
    )
    with caplog.at_level("WARNING", "bottlehead"):
        train_model(table, "dummy", jobs=1)
        train_model(table.filter(np.r_[0, 1, 20, 22]), "dummy", jobs=1)
    told = [record.getMessage() for record in caplog.records if "the same photo" in record.getMessage()]
    assert [message.count(".jpg") for message in told] == [5, 5, 2]
    assert "and 15 more; at least one" in caplog.text and "\x1b" not in caplog.text
    conflict = r"labels: 0\x1b[31m.jpg (fern), 1\x1b[31m.jpg (moss); at least one label is wrong"
    assert told[-1] == f"the same photo carries different {conflict}"


@pytest.mark.parametrize(
    ("columns", "options", "message"),
    [
        ({"label": ["a", "a"]}, {}, "all 2 usable rows have the label a"),
        ({"split": ["testing"] * 2}, {}, "no row is left to train: of 2 rows 2 have a label, 0"),
        ({"variant": [1, 2]}, {}, "the 2 rows to train are distorted copies"),
        ({}, {"features": "x+tall"}, r"no features named tall \(it has x"),
        ({}, {"tune": "f1"}, "unknown tuning score"),
    ],
    ids=str,
)
def test_tables_that_cannot_be_trained_on_are_refused(columns, options, message):
    with pytest.raises(BottleheadError, match=message):
        table = FeatureTable.from_arrays({"x": [[0.0], [1.0]]}, **{"label": ["a", "b"]} | columns)
        train_model(table, **options)


@pytest.mark.parametrize("place", ["jos\udce9/t", "exp:1/t", "run:3"])
def test_a_model_is_trained_kept_and_used_where_names_are_no_utf_8_or_look_like_a_url(
    tmp_path, monkeypatch, place
):
    monkeypatch.chdir(tmp_path)
    table, model, predictions = (Path(place + ending) for ending in (".parquet", ".model", "-p.parquet"))
    try:
        table.parent.mkdir(exist_ok=True)
        table.touch()
    except OSError:
        pytest.skip("this system has no such names")
    X = np.random.default_rng(0).normal(size=(40, 3)) + np.repeat([[0], [9]], 20, axis=0)
    made = FeatureTable.from_arrays({"x": X}, image=[*map(str, range(40))], label=["a"] * 20 + ["b"] * 20)
    made.metadata["features"]["x"] = {"fingerprint": "ab" * 32, "weights": {"file": os.path.abspath(table)}}
    made.write(table)
    assert run("classify", "train", table, "-o", model, "-q").status == 0
    kept = json.loads(members_of(model)["model.json"])["described"]["x"]["weights"]
    assert kept == {"file": os.path.abspath(table)}
    assert run("classify", "predict", model, table, "-o", predictions, "-q").status == 0
    with open(predictions, "rb") as stream:
        assert pq.ParquetFile(stream).read()["label"].to_pylist() == ["a"] * 20 + ["b"] * 20
