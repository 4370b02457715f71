"""``--per-group``: one prediction for a patient from those of the photos, against pandas on the file of predictions."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import sklearn.metrics as theirs
from builders import burst_table, described, leaf_table, made_table, run, words_of_page

import evaluate
from classify import save_model, train_model
from featurize import FeatureTable


def patients(n=40, labels=("ill", "well"), seed=2):
    """Of each patient one to four photos, which have something in common beyond the label; two photos stand alone."""
    rng = np.random.default_rng(seed)
    patient = np.repeat(np.arange(n), 1 + np.arange(n) % 4)
    place = patient % len(labels)
    own = rng.normal(size=(n, 3))[patient] * 0.6
    x = rng.normal(size=(len(patient), 3)) + own + 1.1 * np.eye(3)[place]
    group = [f"patient {one}" for one in patient]
    group[0] = group[-1] = None
    names = [f"{row}.jpg" for row in range(len(patient))]
    return FeatureTable.from_arrays({"x": x}, label=np.array(labels)[place], group=group, image=names)


def by_hand(frame, rule, positive=None, given=None):
    """One row per repeat and group: its label, its probabilities, and the label given, by pandas alone."""
    chances = [name for name in frame if name.startswith("probability:")]
    labels = [name.removeprefix("probability:") for name in chances]
    name = frame["group"].fillna("photo " + frame["image"])
    groups = frame.assign(name=name).groupby(["repeat", "name"])
    mean = groups[chances].mean().set_axis(labels, axis=1)
    if rule == "mean":
        found = mean
    elif rule == "max":
        found = groups[chances].max().set_axis(labels, axis=1)
        if positive:
            found[[one for one in labels if one != positive]] = 1 - found[[positive]].to_numpy()
        else:
            found = found.div(found.sum(axis=1), axis=0)
    else:
        found = pd.DataFrame(
            {one: groups["predicted"].agg(lambda g, one=one: (g == one).mean()) for one in labels}
        )
    decided = found.idxmax(axis=1) if rule != "vote" else (found + 1e-6 * mean).idxmax(axis=1)
    if given and rule != "vote":
        decided = found.apply(given, axis=1)
    return groups["label"].first(), found, decided, labels


def agrees(row, confusion, frame, rule, positive=None, given=None):
    label, chances, decided, labels = by_hand(frame, rule, positive, given)
    n_repeats = len(set(frame["repeat"]))
    assert row["accuracy"]["mean"] == pytest.approx((label == decided).mean())
    assert row["accuracy"]["low"] < row["accuracy"]["mean"] < row["accuracy"]["high"]
    assert row["balanced_accuracy"] == pytest.approx(theirs.balanced_accuracy_score(label, decided))
    assert row["macro_f1"] == pytest.approx(theirs.f1_score(label, decided, average="macro"))
    for name in labels:
        auc = theirs.roc_auc_score(label == name, chances[name])
        assert row["one_vs_rest"][name]["roc_auc"] == pytest.approx(auc)
    counts = label[0].value_counts()
    assert {name: one["support"] for name, one in row["per_label"].items()} == dict(counts)
    if confusion:
        matrix = theirs.confusion_matrix(label, decided, labels=labels) / n_repeats
        np.testing.assert_allclose(confusion["matrix"], matrix)


@pytest.mark.parametrize(
    ("labels", "rule", "positive"),
    [
        (("ill", "well"), "max", "ill"),
        (("ill", "well"), "vote", "well"),
        (("ill", "sick", "well"), "mean", None),
        (("ill", "sick", "well"), "max", None),
        (("ill", "sick", "well"), "vote", None),
    ],
)
def test_compare_scores_one_prediction_per_group(tmp_path, monkeypatch, labels, rule, positive):
    monkeypatch.chdir(tmp_path)
    patients(labels=labels).write("t.parquet")
    more = f" --positive {positive}" if positive else ""
    files = "--json r.json --report r.html --predictions p.parquet"
    words = f"compare t.parquet --heads softmax knn --cv 3 --repeats 2 -j 1 --per-group {rule}{more} {files}"
    done = run(f"evaluate {words}")
    assert done.status == 0, done.err
    content, frame = json.loads(Path("r.json").read_text()), pd.read_parquet("p.parquet")
    found, text = content["per_group"], words_of_page(Path("r.html").read_text())
    assert (found["rule"], found["groups"], found["alone"]) == (rule, 41, 2)
    assert [row["head"] for row in found["results"]] == [row["head"] for row in content["results"]]
    for place, row in enumerate(found["results"]):
        own = frame[frame["head"] == row["head"]]
        agrees(row, None if place else found["confusion"], own, rule, positive)
    said = (
        f"Each of the 41 groups (2 of them single photos without a group) is predicted once: {found['words']}"
    )
    assert said in done.out and said in text and said in content["methods_paragraph"]["text"]
    mean, low, high = (100 * found["results"][0]["accuracy"][key] for key in ("mean", "low", "high"))
    # The confusion of groups stands in the page as well.
    section = text[text.index("Each of the 41 groups") :]
    (first, *_), shown = (
        found["confusion"]["matrix"],
        section[section.index("per group: each row is a true") :],
    )
    assert "Large: groups" in shown
    total = round(sum(first), 1)
    for count in first:
        assert f"{count:g} {100 * count / total:.0f} %" in shown
    told = f"{mean:.1f} % ({low:.1f} to {high:.1f})"
    assert told in done.out and told in text and told in content["methods_paragraph"]["text"]
    assert all(one["group"] in done.out for one in found["misclassified"][:10])
    if positive:
        of_label = found["results"][0]["positive"]
        row = found["confusion"]["matrix"][found["confusion"]["labels"].index(positive)]
        share = row[found["confusion"]["labels"].index(positive)] / sum(row)
        assert of_label["label"] == positive and of_label["sensitivity"] == pytest.approx(share)
        ends = [
            100 * found["results"][0]["intervals"]["positive"]["sensitivity"][end] for end in ("low", "high")
        ]
        assert ends[0] < 100 * of_label["sensitivity"] < ends[1] or ends[1] == 100
        span = f"({ends[0]:.1f} to {ends[1]:.1f})"
        assert f"{positive}: sensitivity {100 * of_label['sensitivity']:.1f} % {span}" in done.out


@pytest.mark.parametrize("rule", ["mean", "max", "vote"])
def test_a_test_scores_groups_by_the_threshold_of_the_model(tmp_path, monkeypatch, rule):
    monkeypatch.chdir(tmp_path)
    operating = {"positive": "ill", "threshold": "recall=0.95"}
    model = train_model(patients(seed=5), "softmax", "x", jobs=1, **operating)
    save_model(model, "m.model")
    patients().write("t.parquet")
    words = f"test m.model t.parquet --per-group {rule} --json r.json --report r.html --predictions p.csv"
    done = run(f"evaluate {words}")
    assert done.status == 0, done.err
    content, frame = json.loads(Path("r.json").read_text()), pd.read_csv("p.csv")
    found, threshold = content["per_group"], content["operating_point"]["threshold"]

    def given(row):
        return "ill" if row["ill"] >= threshold else "well"

    agrees(found["results"][0], found["confusion"], frame, rule, "ill", given)
    label, _, decided, _ = by_hand(frame, rule, "ill", given)
    wrong = {name.removeprefix("photo ") for _, name in label.index[label != decided]}
    assert {one["group"] for one in found["misclassified"]} == wrong and wrong
    counts = frame["group"].value_counts()
    assert all(one["photos"] == counts.get(one["group"], 1) for one in found["misclassified"])
    assert "Per group" in words_of_page(Path("r.html").read_text()) and "of the 41 groups" in done.out


def test_photos_of_a_group_that_all_are_alone_score_as_photos():
    """Groups of one photo each: whatever the rule, its prediction is that of the photo."""
    table = made_table(48, ("ill", "well"), separation=0.8, group=[f"p{row}" for row in range(48)])
    for rule in ("mean", "max", "vote"):
        found = evaluate.compare(table, ["good"], ["softmax"], cv=3, jobs=1, per_group=rule)
        assert found.per_group.results[0].accuracy == found.results[0].accuracy
        if rule != "vote":  # whose probabilities are 0 and 1
            assert found.per_group.results[0].intervals == found.results[0].intervals
        assert found.per_group.confusion == found.best.confusion
    assert found.per_group.groups == 48 and found.per_group.alone == 0


def test_photos_kept_together_as_near_duplicates_are_no_patient():
    """Three photos of a scene, of which the table names one: it alone is a group."""
    names = [f"scene {row // 3}" if row % 3 == 0 else None for row in range(120)]
    table = described(burst_table()).with_column("group", names)
    given = {"group_duplicates": True, "per_group": "mean", "cv": 4, "jobs": 1}
    found = evaluate.compare(table, ["net"], ["softmax"], **given)
    assert (found.per_group.groups, found.per_group.alone) == (120, 80)
    frame = found.predictions.to_frame()
    assert frame["kept_together"].nunique() == 40 and frame["group"].nunique() == 40


MIXED = "2 of 8 groups have photos of several labels, and a group is given one: leaf 0 (rust, well); leaf 3"


@pytest.mark.parametrize(
    ("group", "message"),
    [("none", "the table names no groups"), ("mixed", MIXED)],
)
@pytest.mark.parametrize("command", ["compare t.parquet --cv 2 -j 1", "test m.model t.parquet"])
def test_no_groups_and_groups_of_two_labels_are_errors_that_say_what_to_do(
    tmp_path, monkeypatch, command, group, message
):
    monkeypatch.chdir(tmp_path)
    table = leaf_table(8, 3)
    if group == "none":
        table = leaf_table(8, 3, group=[None] * 24)
    else:
        label = table.label.copy()
        label[0], label[9] = "well", "rust"
        table = table.with_column("label", label.tolist())
    save_model(train_model(leaf_table(8, 3), "softmax", "x", jobs=1), "m.model")
    table.write("t.parquet")
    done = run(f"evaluate {command} --per-group mean")
    assert done.status == 1 and message in done.error
    assert ("--group-by REGEX" if group == "none" else "correct the labels or the groups") in done.hint
