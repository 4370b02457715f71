"""Labels in a tree: a model trained with one answers with what several labels have in common where none is sure."""

import csv
import io
import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from builders import ROSES, digest_of, members_of, rose_table, run, write_members
from scipy.stats import beta

from classify import (
    Taxonomy,
    choose_answers,
    load_model,
    predict_table,
    read_taxonomy,
    save_model,
    train_model,
)
from featurize import BottleheadError, FeatureTable


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The table, the tree, a model with it and one without it."""
    folder = tmp_path_factory.mktemp("roses")
    rose_table().write(folder / "t.parquet")
    (folder / "map.csv").write_text(ROSES)
    for name, more in (("roses", "--taxonomy map.csv --answer-accuracy 0.9"), ("flat", "")):
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(folder)
            done = run(f"classify train t.parquet -o {name}.model {more}")
        assert done.status == 0, done.err
        (folder / f"{name}.txt").write_text(done.err)
    return folder


@pytest.fixture(autouse=True)
def here(folder, monkeypatch):
    monkeypatch.chdir(folder)


def columns_of(text: str) -> dict[str, list[str]]:
    lines = list(csv.DictReader(io.StringIO(text)))
    return {name: [line[name] for line in lines] for name in lines[0]}


def test_roses_that_are_alike_are_called_roses_and_a_tulip_a_tulip():
    found = columns_of(run("classify predict roses.model t.parquet --format csv").out)
    assert list(found) == [
        "image",
        "label",
        "confidence",
        "outlier",
        "answer",
        "answer_level",
        "answer_confidence",
    ]
    model = load_model("roses.model")
    level = {
        "anything": "0",
        "plant": "1",
        "dog": "1",
        "rose": "2",
        "tulip": "2",
        "dog rose": "3",
        "tea rose": "3",
    }
    assert [level[name] for name in found["answer"]] == found["answer_level"]
    assert np.mean(np.array(found["answer"]) == "rose") > 0.2
    truth = rose_table().label.astype(str)
    assert set(np.array(found["answer"])[truth == "dog"]) == {"dog"}
    assert set(np.array(found["answer"])[truth == "tulip"]) == {"tulip"}
    # The probability of a rose is the sum of both, and all numbers are those of the labels, added up.
    chances = model.predict_proba(rose_table().select("x"))
    sums = {"rose": chances[:, 1] + chances[:, 2], "plant": chances[:, 1:].sum(axis=1)}
    sums |= dict(zip(model.labels, chances.T, strict=True))
    by_hand = [sums[name][row] for row, name in enumerate(found["answer"])]
    assert np.allclose(np.array(found["answer_confidence"], dtype=float), by_hand, atol=1e-6)


def test_every_form_tells_the_same_answer():
    given = "classify predict roses.model t.parquet"
    table = columns_of(run(f"{given} --format csv").out)
    lines = [json.loads(line) for line in run(f"{given} --format jsonl").out.splitlines()]
    assert [line["answer"] for line in lines] == table["answer"]
    assert [str(line["answer_level"]) for line in lines] == table["answer_level"]
    run(f"{given} -o p.parquet")
    assert pq.read_table("p.parquet")["answer"].to_pylist() == table["answer"]
    assert pq.read_table("p.parquet")["answer_level"].to_pylist() == [
        int(one) for one in table["answer_level"]
    ]
    frame = predict_table(load_model("roses.model"), rose_table()).to_frame()
    assert frame["answer"].tolist() == table["answer"] and frame["answer_level"].max() == 3
    row = table["answer"].index("rose")
    text = run(given).out.splitlines()[row]
    deeper = ", ".join(f"{name} {p:.4f}" for name, p in lines[row]["deeper"].items())
    assert text == f"{table['image'][row]}: rose {lines[row]['answer_confidence']:.4f}; deeper: {deeper}"
    labels = run(f"{given} --top 2").out.splitlines()[row]
    assert labels.startswith(f"{text}; labels: {table['label'][row]} ")


def test_a_least_confidence_decides_instead_of_the_training():
    given = "classify predict roses.model t.parquet --format csv --min-confidence"
    everything, nothing = columns_of(run(f"{given} 0").out), columns_of(run(f"{given} 1").out)
    assert {*everything["answer"]} == {"dog", "dog rose", "tea rose", "tulip"}
    assert np.mean(np.array(nothing["answer"]) == "anything") > 0.5 and "0" in nothing["answer_level"]
    assert float(min(np.array(nothing["answer_confidence"], dtype=float))) == 1


def test_the_card_and_the_log_say_what_is_promised():
    card, said = run("classify show roses.model").out, Path("roses.txt").read_text()
    rule = load_model("roses.model").answers
    for text in (card, said):
        assert f"reaches probability {rule.threshold:.4f}: expect {rule.expected}" in text
    assert "rose  2 labels" in card and "anything  4 labels" in card
    assert rule.expected.low >= 0.9 and rule.asked == 0.9 and rule.n_answers <= rule.n_photos == 300


def test_a_model_without_a_tree_is_as_it_was():
    about = json.loads(members_of("flat.model")["model.json"])
    with_tree = json.loads(members_of("roses.model")["model.json"])
    # What older programs read is the same; they read past the one key that they do not know.
    assert "answers" not in about and with_tree.pop("answers")
    assert {**with_tree, "training": 0} == {**about, "training": 0}
    assert members_of("flat.model")["head.skops"] == members_of("roses.model")["head.skops"]
    header = run("classify predict flat.model t.parquet --format csv").out.splitlines()[0]
    assert header == "image,label,confidence,outlier"
    assert "answer" not in run("classify show flat.model").out
    assert predict_table(load_model("flat.model"), rose_table()).answers is None


def test_a_model_keeps_its_tree(tmp_path):
    model = load_model("roses.model")
    save_model(model, tmp_path / "m")
    again = load_model(tmp_path / "m")
    assert again.answers.taxonomy == Taxonomy(read_taxonomy("map.csv"), model.labels)
    assert again.answers.to_dict() == model.answers.to_dict()
    save_model(again, tmp_path / "n")
    assert (tmp_path / "m").read_bytes() == (tmp_path / "n").read_bytes()


@pytest.mark.parametrize(
    "change",
    [
        {"parents": {"dog": "dog"}},
        {"parents": {"dog": "pet"}},
        {"parents": {"dog": 3}},
        {"parents": None},
        {"threshold": "high"},
        {"threshold": 7},
        {"expected": {"mean": 0.9, "low": 0.95, "high": 1}},
        {"expected": {"mean": 0.9}},
        {"n_photos": "many"},
        {"more": 1},
    ],
)  # fmt: skip
def test_a_tree_that_somebody_edited_is_refused(change, tmp_path):
    members = members_of("roses.model")
    about = json.loads(members["model.json"])
    about["answers"] |= change
    write_members(tmp_path / "m", members | {"model.json": json.dumps(about).encode()})
    assert "cannot be read as a model" in run("classify", "show", tmp_path / "m").error


def test_labels_are_those_after_the_relabelling(tmp_path):
    (tmp_path / "relabel.csv").write_text("label,new_label\ndog rose,wild\ntea rose,tea\ntulip,tulip\ndog,\n")
    (tmp_path / "map.csv").write_text("label,parent\nwild,rose\ntea,rose\ntulip,\n")
    words = f"classify train t.parquet -o {tmp_path}/m --relabel {tmp_path}/relabel.csv --answer-accuracy 0.9"
    assert "lacks 2 of 3 labels: tea, wild" in run(f"{words} --taxonomy map.csv").error
    assert run(f"{words} --taxonomy {tmp_path}/map.csv").status == 0
    assert {"rose", "tulip"} <= set(predict_table(load_model(tmp_path / "m"), rose_table()).answers.name)


@pytest.mark.parametrize(
    ("words", "error", "status"),
    [
        ("train t.parquet -o m --answer-accuracy 0.9", "--answer-accuracy was given without --taxonomy", 2),
        (
            "train t.parquet -o m --taxonomy map.csv --answer-accuracy 1",
            "an accuracy of 1 cannot be promised",
            1,
        ),
        ("train t.parquet -o m --taxonomy map.csv --answer-accuracy 0.999", "300 photos are too few", 1),
        (
            "train t.parquet -o m --taxonomy nothing.csv",
            "the taxonomy nothing.csv cannot be read: there is no such file",
            1,
        ),
        (
            "train t.parquet -o m --taxonomy map.csv --steps 10",
            "--steps and --taxonomy do not go together",
            2,
        ),
        (
            "train t.parquet -o m --taxonomy map.csv --out-of-core",
            "--out-of-core and --taxonomy do not go",
            2,
        ),
        (
            "train t.parquet -o m --taxonomy map.csv --head softmax:steps=9",
            "--steps and --taxonomy do not",
            2,
        ),
        ("train t.parquet -o map.csv --taxonomy map.csv", "map.csv", 1),
        (
            "train t.parquet -o m --taxonomy map.csv --positive dog --threshold recall=0.9",
            "a positive label and a",
            1,
        ),
        ("predict flat.model t.parquet --min-confidence 0.5", "the model knows no tree of its labels", 1),
        ("predict roses.model t.parquet --min-confidence 2", "the least confidence is 2", 1),
        ("predict roses.model t.parquet --min-confidence nan", "the least confidence is nan", 1),
    ],
)
def test_what_cannot_be_is_refused_with_a_hint(words, error, status):
    done = run(f"classify {words}")
    assert error in done.error and done.hint and done.status == status, done.err


def test_the_threshold_is_chosen_by_groups_that_stay_together():
    """Ten photos of each of 30 plants tell less than 300 plants: they do not suffice for the same promise."""
    table = rose_table()
    plants = (np.arange(300) % 4 * 100 + np.arange(300) // 40).astype(str)
    grouped = FeatureTable.from_arrays(
        {"x": table.select("x")}, label=table.label, group=plants, sha256=[digest_of(n) for n in range(300)]
    )
    tree = {"tea rose": "rose", "dog rose": "rose", "tulip": "", "dog": ""}
    assert train_model(table, taxonomy=tree, answer_accuracy=0.9).answers.expected.low >= 0.9
    with pytest.raises(BottleheadError, match="32 groups of photos are too few"):
        train_model(grouped, taxonomy=tree, answer_accuracy=0.9)
    together, alone = (
        train_model(one, taxonomy=tree, answer_accuracy=0.6).answers for one in (grouped, table)
    )
    wide, narrow = together.expected, alone.expected
    assert wide.high - wide.low > narrow.high - narrow.low and wide.low >= 0.6


@pytest.mark.parametrize(
    ("head", "photos_of_dogs", "accuracy", "told"), [("svm", 3, 0.6, False), ("softmax", 75, 0.9, True)]
)
def test_what_more_photos_bring_is_told_where_halves_can_be_trained(head, photos_of_dogs, accuracy, told):
    """A calibrated head needs two photos of each label, and half of three is one: then nothing is added."""
    table = rose_table()
    dogs = np.flatnonzero(table.label.astype(str) == "dog")
    few = table.filter(~np.isin(np.arange(300), dogs[photos_of_dogs:]))
    tree = {"tea rose": "rose", "dog rose": "rose", "tulip": "", "dog": ""}
    rule = train_model(few, head, taxonomy=tree, answer_accuracy=accuracy).answers
    held_out = rule.expected.mean * rule.n_answers  # a whole number, unless something was added
    assert (abs(held_out - round(held_out)) > 1e-6) == told and rule.n_photos == len(few)


def test_the_lowest_threshold_that_promises_enough_is_taken_by_hand():
    tree = Taxonomy({"a": "x", "b": "x", "c": ""}, ["a", "b", "c"])
    # The surest 200 answers are right; of the next 100, which are a, half are b; x would be right for them.
    chances = np.repeat([[0.95, 0.03, 0.02], [0.6, 0.38, 0.02]], [200, 100], axis=0)
    truth = np.array(["a"] * 250 + ["b"] * 50)
    rule = choose_answers(truth, chances, tree, 0.95)
    assert 0.6 < rule.threshold <= 0.95 and (rule.n_answers, rule.n_labels) == (300, 200)
    assert rule.expected.mean == 1 and rule.expected.low >= 0.95
    # 250 of 300 are right at 0.6; without heads of fewer photos nothing is added, and the interval is Jeffreys'.
    low = choose_answers(truth, chances, tree, 0.7)
    assert (
        low.threshold == pytest.approx(0.6)
        and low.n_labels == 300
        and low.expected.mean == pytest.approx(5 / 6)
    )
    ends = beta.ppf([0.025, 0.975], 250.5, 50.5)
    assert [low.expected.low, low.expected.high] == pytest.approx(list(ends))


@pytest.mark.parametrize("file", ["m.tflite", "m.onnx", "m.pb", "m.xml", "saved/"])
def test_an_export_that_cannot_hold_the_tree_is_refused(file):
    done = run(f"classify export roses.model -o {file}")
    assert "cannot hold the tree" in done.error and "HEAD.npz" in done.hint and not Path(file).exists()


def test_the_head_alone_holds_the_tree(tmp_path):
    """Read with NumPy alone: probabilities of nodes, and the deepest that reaches the threshold, if it is above 1/2."""
    done = run(f"classify export roses.model -o {tmp_path}/head.npz")
    assert done.status == 0, done.err
    assert str(load_model("roses.model").answers) in run(f"classify show {tmp_path}/head.npz").out
    found = predict_table(load_model("roses.model"), rose_table())
    with np.load(tmp_path / "head.npz") as arrays:
        nodes, above, threshold = arrays["nodes"], arrays["above"], float(arrays["answer_threshold"])
        chances = found.probabilities @ arrays["holds"].T
    depth = np.array([0] * len(nodes))
    for place in range(1, len(nodes)):
        depth[place] = depth[above[place]] + 1
    assert threshold > 0.5 and [
        nodes[one] for one in np.where(chances >= threshold, depth, -1).argmax(axis=1)
    ] == (found.answers.name)


def test_compare_and_test_score_level_by_level_in_every_form():
    done = run(
        "evaluate compare t.parquet --heads softmax --taxonomy map.csv --answer-accuracy 0.9 "
        "--json c.json --report c.html"
    )
    assert done.status == 0, done.err
    found = json.loads(Path("c.json").read_text())["best"]["taxonomy"]
    plant, rose, label = (one["accuracy"]["mean"] for one in found["levels"])
    assert (
        plant > 0.99 and rose > 0.99 and label < 0.95 and f"level 3 (4 names) {100 * label:.1f} %" in done.out
    )
    assert found["answers"]["right"]["mean"] > 0.9 and found["answers"]["general"]["mean"] > 0.1
    f1 = found["hierarchical"]["f1"]
    words = f"F1 {100 * f1['mean']:.1f} % ({100 * f1['low']:.1f} to {100 * f1['high']:.1f})"
    page = Path("c.html").read_text()
    assert (
        "Kiritchenko, S. Matwin" in page
        and words in done.out
        and words in page
        and 'id="tree"' in page
        and "var(--mark-2)" in page
    )
    # By the tree of the model, unless that is another one.
    done = run("evaluate test roses.model t.parquet --json t.json")
    told = json.loads(Path("t.json").read_text())["taxonomy"]
    assert told["answers"]["thresholds"] == [load_model("roses.model").answers.threshold]
    answers = predict_table(load_model("roses.model"), rose_table()).answers
    assert told["answers"]["none"]["mean"] == np.mean(answers.level == 0)
    assert "a more general answer" in done.out
    assert run("evaluate test roses.model t.parquet --taxonomy map.csv").out == done.out
    Path("other.csv").write_text("label,parent\ntea rose,rose\ndog rose,rose\ntulip,\ndog,\n")
    assert "a taxonomy of its own" in run("evaluate test roses.model t.parquet --taxonomy other.csv").error
    flat = run("evaluate test flat.model t.parquet --taxonomy other.csv")
    assert "level 1 (3 names)" in flat.out and "more general" not in flat.out


def test_without_a_tree_results_are_as_they_were():
    assert run("evaluate test flat.model t.parquet --json f.json").status == 0
    assert "taxonomy" not in json.loads(Path("f.json").read_text())


@pytest.mark.parametrize(
    ("words", "error"),
    [
        ("compare t.parquet --answer-accuracy 0.9", "--answer-accuracy was given without --taxonomy"),
        ("compare t.parquet --taxonomy map.csv --answer-accuracy 0", "an accuracy of 0 cannot be promised"),
        ("compare t.parquet --taxonomy nothing.csv", "the taxonomy nothing.csv cannot be read"),
        ("compare t.parquet --taxonomy map.csv --json map.csv", "map.csv"),
        (
            "test flat.model t.parquet --taxonomy short.csv",
            "the taxonomy short.csv lacks 2 of 4 labels: dog, tulip",
        ),
    ],
)
def test_what_cannot_be_compared_is_refused_with_a_hint(words, error):
    Path("short.csv").write_text("label,parent\ntea rose,rose\ndog rose,rose\n")
    done = run(f"evaluate {words}")
    assert error in done.error and done.hint
