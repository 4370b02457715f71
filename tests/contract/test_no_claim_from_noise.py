"""What cannot be judged is not: folds of one label, photos that come in groups, heads below the commonest label."""

import json
import re

import numpy as np
import pytest
from builders import run
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import LeaveOneOut

from evaluate import compare
from featurize import FeatureTable


def patients(label, per_patient=5, seed=0, shift=0.0, features=("x",)):
    """Photos of patients, each of one label; `shift` is how much of the label the vectors show."""
    y, rng = np.repeat(label, per_patient), np.random.default_rng(seed)
    patient = np.arange(len(y)) // per_patient
    known = shift * (y == sorted(set(label))[0])[:, None]
    X = {
        name: rng.normal(size=(len(y), 6)) + rng.normal(size=(len(label), 6))[patient] + known
        for name in features
    }
    return FeatureTable.from_arrays(X, label=y, group=[f"patient {one}" for one in patient])


NOISE = patients(["ill", "well"] * 6)


@pytest.fixture(scope="module")
def left_out():
    return compare(NOISE, heads=["softmax", "dummy"], folds="leave-one-group-out", jobs=1)


def test_where_each_fold_tests_one_label_nothing_beats_and_the_dummy_has_the_base_rate(left_out):
    assert left_out.folds["base_rate"] == {"label": "ill", "share": 0.5, "trained": 0.0, "one_label": 12}
    (pair,), rows = left_out.comparisons, {row.head: row for row in left_out.results}
    assert pair["verdict"] == "undecided" and pair["base_rate"] == 0.5
    # The difference is that to always answering one label, not to a dummy that the folds make wrong every time.
    one = rows[pair["one"]["head"]].accuracy
    assert [pair[key] for key in ("difference", "low", "high")] == pytest.approx(
        [share - 0.5 for share in (one.mean, one.low, one.high)]
    )
    assert rows["dummy"].accuracy.mean == 0.5 and rows["dummy"].log_loss == pytest.approx(np.log(2))
    # The heads of folds cannot be ranked against each other; a dummy is the same in all, and ranks nothing.
    assert rows["softmax"].roc_auc is None and rows["softmax"].one_vs_rest["ill"].average_precision is None
    assert rows["softmax"].intervals.roc_auc is None
    assert rows["dummy"].roc_auc == rows["dummy"].one_vs_rest["ill"].average_precision == 0.5
    measured = rows[pair["one"]["head"]].accuracy.mean - rows[pair["other"]["head"]].accuracy.mean
    assert pair["accuracy_difference"] == pytest.approx(measured)
    assert "12 of 12 folds test photos of one label alone" in left_out.warnings[0]
    assert "counted as always answering ill (50.0 % right)" in pair["words"] and "beats" not in pair["words"]


def test_leaving_one_photo_out_is_told_as_well():
    found = compare(NOISE.filter(np.arange(0, 60, 5)), heads=["dummy"], folds=LeaveOneOut(), jobs=1)
    assert found.results[0].accuracy.mean == 0.5 and found.folds.base_rate.one_label == 12


def test_a_clear_difference_is_still_found_there_and_called_what_it_is():
    found = compare(patients(["ill", "well"] * 10, shift=4), heads=["softmax", "dummy"],
                    folds="leave-one-group-out", jobs=1)  # fmt: skip
    (pair,) = found.comparisons
    assert pair.verdict == "ahead" and pair.low > 0.2
    assert "not settled by folds that test one label alone" in pair.words


def test_only_folds_that_hold_a_label_and_others_rank_it():
    """Two patients with both labels, two with one: ROC AUC goes by the first two."""
    table = patients(["ill", "well"] * 10, per_patient=1, shift=2)
    table = table.with_column(
        "group", [f"patient {row // 6 if row < 12 else 10 + row % 2}" for row in range(20)]
    )
    found = compare(table, heads=["softmax"], folds="leave-one-group-out", jobs=1)
    frame = found.predictions.to_frame()
    both = frame[frame["fold"].isin(frame.groupby("fold")["label"].nunique().loc[lambda n: n > 1].index)]
    assert len(both) == 12 and found.folds.base_rate.one_label == 2
    expected = roc_auc_score(both["label"] == "ill", both["probability:ill"])
    assert found.results[0].one_vs_rest["ill"].roc_auc == pytest.approx(expected)


def test_mcnemars_test_counts_whole_groups_where_photos_come_in_groups_and_says_so():
    grouped = patients(["ill", "well"] * 8, features=("x", "z"))
    alone = grouped.with_column("group", [None] * len(grouped))
    found, other = (compare(table, ["x", "z"], ["softmax"], jobs=1) for table in (grouped, alone))
    for result in (found, other):
        page, content = result.to_html(), result.to_dict()
        (pair,) = content["comparisons"]
        assert 0 <= pair["mcnemar"]["p_holm"] <= 1 and "McNemar p, corrected" in page
        cited = content["methods_paragraph"]["text"]
        assert "McNemar 1947" in cited and ("Durkalski et al. 2003" in cited) == (result is found)
        said = [
            "photos of a group do not err independently" in one
            for one in (content["methods"]["mcnemar"], page)
        ]
        assert said == [result is found] * 2
    frame = found.predictions.to_frame()
    right = frame["label"] == frame["predicted"]
    by_group = right.groupby([frame["features"], frame["group"]]).sum()
    (pair,) = found.comparisons
    lead = (by_group[pair.one.features] - by_group[pair.other.features]).to_numpy()
    swapped = np.random.default_rng(0).choice([-1, 1], (100_000, len(lead))) @ lead
    assert pair.mcnemar.p_value == pytest.approx((abs(swapped) >= abs(lead.sum())).mean(), abs=0.01)


def test_two_photos_of_one_group_among_many_alone_keep_mcnemars_test():
    table = patients(["ill", "well"] * 30, per_patient=1, shift=1, features=("x", "z"))
    table = table.with_column("group", ["both", None, "both", *[None] * (len(table) - 3)])
    found = compare(table, ["x", "z"], ["softmax"], jobs=1)
    test = found.comparisons[0].mcnemar
    assert found.data.groups == 59 and test.only_one_right + test.only_other_right > 0
    assert f"{test.p_holm:.2g}" in found.to_html().partition("McNemar p, corrected")[2]


def test_a_best_head_without_a_signal_is_told_in_the_first_sentence(tmp_path):
    NOISE.write(tmp_path / "t.parquet")
    files = f"--json {tmp_path}/r.json --report {tmp_path}/r.html"
    printed = run(f"evaluate compare {tmp_path}/t.parquet --heads softmax -j 1 {files}").out
    accuracy = json.loads((tmp_path / "r.json").read_text())["results"][0]["accuracy"]
    assert printed.startswith(f"The best, softmax on x, right on {100 * accuracy['mean']:.1f} %")
    first = re.search(r"<li>(.*?)</li>", (tmp_path / "r.html").read_text().partition('id="summary"')[2], re.S)
    assert first and "the 50.0 % of always answering one of 2 equally common labels" in first.group(1)


def test_a_head_below_the_commonest_label_is_told_and_one_above_is_not():
    rare = patients(["ill"] * 2 + ["well"] * 18, seed=1, shift=0.8)
    heads = ["softmax:class_weight=balanced"]
    below = compare(rare, heads=heads, cv=2, jobs=1)
    assert below.results[0].accuracy.mean < 0.9
    assert "is below the 90.0 % of always answering well" in str(below).partition("\n")[0]
    assert "guessing has 50.0 %" in str(below).partition("\n")[0]
    above = str(compare(patients(["ill", "well"] * 10, shift=5), heads=["softmax"], jobs=1))
    assert above.startswith("100 photos") and "always answering" not in above
