"""Sentences and columns as people read them."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from classify.training.train import train
from evaluate.report.difference_sentences import difference_in_words, differences_in_words
from evaluate.report.score_sentences import best_in_words, labels_in_words, scores_in_words
from evaluate.report.text import confusion_as_text, mistakes_as_text, split_as_text, table_as_text
from evaluate.report.words import count, listed, points_in_words
from evaluate.scores.metrics import Confusion, LabelScores, PositiveScores
from evaluate.scores.mistakes import Suspect
from evaluate.statistics.differences import McNemar, PairComparison, PairName, RopeProbabilities, verdict_of
from evaluate.statistics.intervals import Interval, ScoreIntervals, ShareIntervals
from evaluate.studies import testing
from evaluate.studies.compare import compare
from evaluate.whole_job.fit import few_in_words, summary_lines
from featurize.table import FeatureTable

AHEAD = "on inception_v3, svm is ahead of softmax on these photos by 3.0 points (1.0 to 5.0), not settled "
BEATS = "inception_v3 (svm) beats glcm (mlp) by 31 points (27 to 35)"
SURE = "svm beats softmax by 0.3 points (0.1 to 0.5)"
DOUBTFUL = (
    "svm and softmax cannot be told apart: the difference is 0.4 points (-2.0 to 2.8); 38 % probability that the first "
    "is better by more than 1 point, 50 % that neither is, 12 % that the second is"
)


CLEAR, SMALL = (0.03, 0.01, 0.05), (0.003, 0.001, 0.005)


@pytest.mark.parametrize(
    ("other", "interval", "p_value", "p_holm", "odds", "rope", "words"),
    [
        ("glcm mlp", (0.312, 0.268, 0.351), 1e-3, 2e-3, (0, 0, 1), 1, BEATS),
        ("inception_v3 softmax", (0.004, -0.02, 0.028), 0.6, 0.6, (0.125, 0.5, 0.375), 1, DOUBTFUL),
        ("inception_v3 softmax", CLEAR, 0.02, 0.08, (0, 1, 0), 2, AHEAD + "among 4 comparisons; "),
        ("inception_v3 softmax", CLEAR, 0.2, 0.2, (0, 1, 0), 2, AHEAD + "for other training photos; "),
        ("inception_v3 softmax", CLEAR, 0.2, 0.2, (0, 1, 0), 2, "more than 2 points, 100 % that neither is"),
        (
            "inception_v3 softmax",
            SMALL,
            0.01,
            0.01,
            (0, 1, 0),
            1,
            SURE + "; 0 % probability that the first is better",
        ),
    ],
)
def test_a_difference_in_words(other, interval, p_value, p_holm, odds, rope, words):
    compares = "features" if other == "glcm mlp" else "head"
    chances, verdict = RopeProbabilities(*odds), verdict_of(*interval[1:], p_holm)
    measured = (*interval, p_value, False, chances, rope, McNemar(1, 0, 1.0), p_holm, 4, verdict)
    pair = PairComparison(compares, PairName("inception_v3", "svm"), PairName(*other.split()), *measured)
    assert words in difference_in_words(pair)


def test_counts_lists_and_points_in_words():
    assert points_in_words(0.012, 0.0004, 0.024) == "1.20 points (0.04 to 2.40)"
    assert points_in_words(0.0841, 0.032, 0.14) == "8.4 points (3.2 to 14.0)"
    assert points_in_words(0.0996, 0.05, 0.15) == "10 points (5 to 15)"
    assert points_in_words(-0.0001, -0.0002, 0.0) == "-0.01 points (-0.02 to 0.00)"
    assert [count(n, "photo") for n in (0, 1, 1234)] == ["0 photos", "1 photo", "1234 photos"]
    assert count(1234, "photo", ",") == "1,234 photos"
    assert [listed(list(words)) for words in ("", "a", "ab", "abc")] == ["", "a", "a and b", "a, b and c"]


def test_scores_in_words():
    found = dict.fromkeys(("averages", "reliability", "one_vs_rest", "per_label"))
    found |= {"balanced_accuracy": 0.9, "macro_f1": 0.91, "roc_auc": 0.9871, "average_precision": None}
    found |= {"log_loss": 0.2, "brier": 0.05, "calibration_error": 0.031, "top_k": {"2": 0.99}}
    ill = PositiveScores("ill", 0.75, None, 1.0, None, None)
    shares = ShareIntervals(Interval(0.75, 0.5, 0.9), None)
    found |= {"intervals": ScoreIntervals(Interval(0.9871, 0.95, 0.9991), None, {}, shares)}
    assert scores_in_words(SimpleNamespace(**found, positive=ill)) == [
        "balanced accuracy 90.0 %, macro F1 91.0 %",
        "ROC AUC 0.987 (0.950 to 0.999), average precision unknown",
        "log loss 0.200, Brier score 0.050, calibration error 0.031, top 2 99.0 %",
        "ill: sensitivity 75.0 % (50.0 to 90.0), specificity unknown, precision 100.0 %",
    ]
    assert len(scores_in_words(SimpleNamespace(**found, positive=None))) == 3


def test_what_is_ahead_means_is_said_where_something_is_and_nowhere_else():
    def pair(verdict):
        names = PairName("x", "svm"), PairName("x", "mlp")
        measured = 0.1, 0.01, 0.2, 0.2, False, RopeProbabilities(0, 0, 1), 1.0, None
        return PairComparison("head", *names, *measured, verdict=verdict, words="svm and mlp")

    assert differences_in_words([pair("beats"), pair("beats")]) == ["svm and mlp."] * 2
    said = differences_in_words([pair("ahead"), pair("ahead")])
    assert said[:2] == ["svm and mlp."] * 2 and len(said) == 4 and "is no claim: of 100 tables" in said[3]
    # Probably better and yet no verdict: the two are answers to different questions.
    for verdict in ("undecided", "ahead"):
        told = differences_in_words([pair(verdict)])[1]
        assert "interval is over photos" in told and "probabilities are over folds" in told


@pytest.mark.parametrize(
    ("counts", "said"),
    [
        (
            [[9, 1, 0], [0, 9, 1], [0, 0, 8]],
            [("one of 2 equally common labels", "35.7"), ("ant: 90.0", "taken for bee")],
        ),
        (
            [[8, 1, 1], [0, 9, 0], [0, 0, 9]],
            [("ant, the commonest", "35.7"), ("ant: 80.0", "most often taken for bee and cat")],
        ),
        (
            [[7, 2, 1], [0, 9, 0], [0, 0, 9]],
            [("ant, the commonest", "35.7"), ("ant: 70.0", "most often taken for bee.")],
        ),
        (
            [[9, 0, 0], [0, 9, 0], [1, 0, 0]],
            [("one of 2 equally common labels", "47.4")],
        ),  # of one photo nothing is said
    ],
)
def test_ties_and_labels_of_a_single_photo_are_called_what_they_are(counts, said):
    names = ["ant", "bee", "cat"]
    per_label = {
        name: LabelScores(1.0, row[place] / sum(row), 1.0, sum(row))
        for place, (name, row) in enumerate(zip(names, counts, strict=True))
    }
    found = labels_in_words(per_label, Confusion(names, counts))
    assert len(found) == len(said)
    for sentence, words in zip(found, said, strict=True):
        assert all(word in sentence for word in words), sentence


def test_columns_say_whose_probability_they_hold_and_one_head_is_not_listed_twice(confused):
    found = compare(confused, ["good"], ["softmax"], cv=3, jobs=1)
    found.best.label_suspects = [Suspect("a.jpg", "ant", "bee", 0.005, 0.97)]
    text = mistakes_as_text(found)
    assert "misclassified by every head" not in text and "misclassified, most confident first" in text
    lines = [line.split() for line in text.splitlines()]
    header = "image label suggested of the suggested % of its label %".split()
    place = lines.index(header)
    assert lines[place + 1] == ["a.jpg", "ant", "bee", "97.0", "0.5"]


def test_a_weak_head_does_not_send_people_to_look_at_most_photos(comparison):
    def words_of(n):
        suspects = comparison.best["label_suspects"][:1] * n
        return best_in_words(replace(comparison, best=replace(comparison.best, label_suspects=suspects)))[-1]

    assert words_of(9) == "Labels that the best head contradicts with confidence: 9; inspect them."
    assert words_of(10).startswith("The best head contradicts 10 labels of 60: too many")  # more than 15 %


def test_the_confusion_is_in_counts_and_per_cent():
    confusion = Confusion(["ant", "bee"], [[3, 1], [0, 2]])
    lines = confusion_as_text(confusion, [[75.0, 25.0], [0.0, 100.0]]).splitlines()
    assert lines[1].split() == ["ant", "3", "(75", "%)", "1", "(25", "%)"]
    assert "14 labels is too wide to print" in confusion_as_text(Confusion(list("abcdefghijklmn"), []), [])


def test_columns_line_up():
    text = table_as_text(["name", "n"], [["a", "100"], ["bcdef", "1"]], left=1)
    assert text == "name     n\na      100\nbcdef    1"
    wide = table_as_text(["name", "n"], [["\u96db\u83ca", "100"], ["u\u0308ber", "1"]], left=1)
    assert wide == "name    n\n\u96db\u83ca  100\nu\u0308ber    1", "four columns each"


HOSTILE = "\x1b[2Jrot\n"  # clears the screen, and breaks a line


def test_names_cannot_move_the_cursor_or_break_a_table(confused):
    assert table_as_text(["name", "n"], [[HOSTILE, "1"]], left=1) == "name          n\n\\x1b[2Jrot\\n  1"
    table = confused.relabel({"ant": HOSTILE, "bee": "bee", "cat": "cat"})
    table = table.with_column("image", [HOSTILE + name for name in confused.image])
    sha256 = [*confused.sha256[:21], confused.sha256[0], *confused.sha256[22:]]  # one photo under two labels
    table = table.with_column("sha256", sha256)
    compared = compare(table, ["good"], ["softmax"], cv=3, jobs=1)
    tested = testing.test(train(table.filter(np.arange(60) % 2 == 0), "softmax", "good", jobs=1), table)
    shown = [str(compared), str(tested), mistakes_as_text(compared), split_as_text(table)]
    assert "carry different labels" in shown[0] and "misclassified" in shown[1]
    for text in shown:
        assert "\x1b" not in text and "rot\n" not in text
        assert "\\x1b[2Jrot\\n" in text


def test_the_split_is_counted_by_label_without_variants():
    label, split = ["b", "b", "a", None, "a"], ["training", "testing", "training", None, "training"]
    table = FeatureTable.from_arrays({}, label=label, split=split, variant=[0, 0, 0, 0, 9])
    lines = [" ".join(line.split()) for line in split_as_text(table).splitlines()]
    assert lines == ["label training validation testing", "a 1 0 0", "b 1 0 1", "no label 0 0 0", "all 2 0 1"]


def test_of_few_photos_fit_recommends_nothing_and_names_what_was_left_out(confused):
    few = confused.filter(np.arange(60) % 3 > 0)
    found = compare(few, ["good"], ["softmax"], cv=2, jobs=1)
    tested = testing.test(train(few, "softmax", "good", jobs=1), confused.filter(np.arange(60) % 12 == 0))
    places = {"table": "t", "report": "r", "comparison": "c", "rejects": "x.csv"}
    lines = list(summary_lines(found, tested, "m.model", places, 2))
    assert "warning: 2 photos were left out of all this: x.csv says why" in lines
    assert "  see why 2 photos were left out, mend or delete them: x.csv" in lines
    enough = few_in_words({"ant": 20, "bee": 20}), few_in_words({"ant": 20, "bee": 19, "cat": 4})
    assert enough == ("", "2 labels have fewer than 20 photos (4 of cat): too few to say how good a model is")
    few_told = any("fewer than 20 photos" in line for line in lines)
    assert few_told == any(
        line.startswith("  try it, but do not rely on it, since it has seen too few photos: ")
        for line in lines
    )
    assert few_told != any(line.startswith("  use it: ") for line in lines)
