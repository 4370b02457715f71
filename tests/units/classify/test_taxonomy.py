"""Labels in a tree: the file, its errors, probabilities added up, and the deepest sure answer."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
from builders import rose_table
from numpy.testing import assert_allclose
from scipy.stats import beta, binom, norm, t

from classify.prediction.predictions import predict_table
from classify.shares import Answered, answers_share, sure_share
from classify.taxonomy import Taxonomy, read_taxonomy
from classify.training.answers import choose_answers
from classify.training.train import train
from featurize.errors import UsageError

LABELS = ["dog", "dog rose", "tea rose", "tulip"]
COLUMNS = "label,parent,grandparent\ntea rose,rose,plant\ndog rose,rose,plant\ntulip,plant,\ndog,,\n"
PAIRS = "label,parent\ntea rose,rose\ndog rose,rose\nrose,plant\ntulip,plant\ndog,\n"


def tree_of(tmp_path, text: str, labels=LABELS) -> Taxonomy:
    (tmp_path / "map.csv").write_text(text)
    return Taxonomy(read_taxonomy(tmp_path / "map.csv"), labels)


@pytest.mark.parametrize("text", [COLUMNS, PAIRS, "\ufeff" + PAIRS, PAIRS.replace(",", " , ")])
def test_both_shapes_of_the_file_give_one_tree(text, tmp_path):
    tree = tree_of(tmp_path, text)
    assert tree.nodes == ["anything", "dog", "plant", "rose", "dog rose", "tea rose", "tulip"]
    assert tree.levels == [0, 1, 1, 2, 3, 3, 2]
    assert tree.ancestors("tea rose") == ["rose", "plant"] and tree.ancestors("dog") == []
    assert (
        tree
        == Taxonomy(tree.parents, LABELS)
        != Taxonomy(tree.parents | {"dog": "plant", "fox": ""}, [*LABELS, "fox"])
    )


def test_a_file_of_superclasses_is_a_tree_of_two_levels(tmp_path):
    tree = tree_of(tmp_path, "label,superclass\nant,insect\nbee,insect\ncat,pet\n", ["ant", "bee", "cat"])
    assert tree.nodes == ["anything", "insect", "ant", "bee", "pet", "cat"] and tree.depth == 2


def test_what_all_labels_have_in_common_is_the_top(tmp_path):
    text = "label,genus,family,kingdom\na,g,f,life\nb,g,f,life\nc,h,f,life\n"
    assert tree_of(tmp_path, text, ["a", "b", "c"]).nodes == ["f", "g", "a", "b", "h", "c"]


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("label,parent\na,x\nx,y\ny,x\n", "line 3 of .*: x is below y is below x: a circle"),
        ("label,parent\na,a\n", "line 2 of .*: a is below a: a circle"),
        ("label,parent\na,x\nb,x\na,y\n", "line 4 of .* gives a the parent y, line 2 gave x"),
        ("label,p,g\na,x,u\nb,x,v\n", "line 3 of .* gives x the parent v, line 2 gave u"),
        ("label,p,g\na,,u\n", "line 2 of .* has an empty cell: 'a,,u'"),
        ("label,p\n,u\n", "line 2 of .* has an empty cell"),
        ("label\na\n", "has one column, label"),
        ("label,parent\n", "names no label"),
        ("species,genus\na,x\n", "has the columns species, genus"),
        ("label,parent\na,x\nb,x,y\n", "line 3 of .* is 'b,x,y'"),
        ("label,parent\na,x\nb,x\n", "lacks 1 of 3 labels: c"),
        ("label,parent\na,x\nb,x\nc,y\nemu,y\nox,y\n", "lines 5, 6: emu, ox are no labels and no parent"),
        ("label,parent\na,x\nb,x\nc,y\nz,y\n", "line 5: z is no label and no parent"),
        ("label,parent\na,x\nb,x\nc,x\n", "tells nothing: all 3 labels stand side by side"),
        ("label,parent\na,anything\nb,anything\nc,\n", "line 2 of .*a node is called anything"),
    ],
)  # fmt: skip
def test_a_file_that_is_no_tree_of_the_labels_is_refused_by_its_lines(text, error, tmp_path):
    with pytest.raises(UsageError, match=error) as refused:
        tree_of(tmp_path, text, ["a", "b", "c"])
    assert refused.value.hint
    assert "has the columns" not in error or "label,parent" in refused.value.hint


def test_probabilities_add_up_along_the_tree(tmp_path):
    tree = tree_of(tmp_path, PAIRS)
    found = dict(zip(tree.nodes, tree.probabilities(np.array([[0.1, 0.2, 0.4, 0.3]]))[0], strict=True))
    expected = {"anything": 1, "dog": 0.1, "plant": 0.9, "rose": 0.6, "dog rose": 0.2, "tea rose": 0.4}
    assert_allclose([found[name] for name in expected], list(expected.values()))


@pytest.mark.parametrize(
    ("chances", "threshold", "node"),
    [
        ([0.02, 0.03, 0.45, 0.5], 0.97, "plant"),  # the most probable label is the tulip
        ([0.0, 0.45, 0.48, 0.07], 0.9299, "rose"),
        ([0.0, 0.45, 0.48, 0.07], 0.4, "tea rose"),
        ([0.0, 0.45, 0.48, 0.07], 0.9301, "plant"),
        ([0.6, 0.1, 0.1, 0.2], 0.7, "anything"),
        ([0.6, 0.1, 0.1, 0.2], 0.1, "dog"),  # no deep but improbable node
    ],
)
def test_the_answer_is_the_deepest_node_that_reaches_the_threshold(chances, threshold, node, tmp_path):
    tree = tree_of(tmp_path, PAIRS)
    found, chance = tree.answer(np.array([chances]), threshold)
    assert tree.nodes[found[0]] == node and (chance[0] >= threshold or node == "anything")


def test_a_label_with_labels_below_it_is_an_answer_of_its_own():
    tree = Taxonomy(
        {"tea rose": "rose", "rose": "plant", "fern": "plant", "ox": ""}, ["fern", "ox", "rose", "tea rose"]
    )
    for own, below, node in ((0.6, 0.3, "rose"), (0.3, 0.6, "tea rose")):
        found, chance = tree.answer(np.array([[0.05, 0.05, own, below]]), 0.2)
        assert tree.nodes[found[0]] == node and chance[0] == pytest.approx(0.9 if node == "rose" else 0.6)
    assert [tree.nodes[place] for place in tree.at_level(2)] == ["fern", "ox", "rose", "rose"]
    assert [tree.nodes[place] for place in tree.at_level(1)] == ["plant", "ox", "plant", "plant"]


def test_answers_of_higher_thresholds_hold_those_of_lower_ones_and_depend_on_no_other_row():
    rng = np.random.default_rng(0)
    labels = [f"{n:02}" for n in range(30)]
    parents = {name: f"g{int(name) // 3}" for name in labels} | {f"g{n}": f"f{n // 4}" for n in range(10)}
    tree = Taxonomy(parents, labels)
    chances = rng.dirichlet(np.full(30, 0.1), size=200)
    before = None
    for threshold in np.linspace(0, 1, 21):
        nodes, shares = tree.answer(chances, threshold)
        assert (shares[nodes > 0] >= threshold).all()
        if before is not None:
            assert tree.above[before, nodes].all()
        if threshold > 0.5:  # by definition: of all nodes that reach it, the deepest
            every = tree.probabilities(chances)
            depth = np.where(every >= threshold, tree.levels, -1)
            assert (np.array(tree.levels)[nodes] == depth.max(axis=1)).all()
        alone = np.concatenate([tree.answer(row[None], threshold)[1] for row in chances[:20]])
        assert (alone == shares[:20]).all()
        before = nodes


def test_a_tree_of_too_many_names_is_refused():
    with pytest.raises(UsageError, match="has 10,001 names"):
        Taxonomy({str(n): "" for n in range(10_001)}, ["0", "1"])


def test_a_tree_deeper_than_the_stack_is_read():
    chain = {f"n{n}": f"n{n + 1}" for n in range(3000)}
    tree = Taxonomy(chain | {"b": "n3000", "c": ""}, ["n0", "b", "c"])
    assert tree.depth == 3001 and tree.answer(np.array([[0.9, 0.05, 0.05]]), 0.8)[1] == [0.9]


def test_the_promised_interval_holds_in_draws_of_photos():
    """Probabilities that are true: how often an answer is right at any threshold is known without labels."""
    rng = np.random.default_rng(1)
    labels = [f"{n:02}" for n in range(12)]
    parents = {name: f"g{int(name) // 3}" for name in labels} | {f"g{n}": f"f{n // 2}" for n in range(4)}
    tree = Taxonomy(parents, labels)
    new = tree.paths(rng.dirichlet(np.full(12, 0.05), size=20_000))[1]
    held, reached = 0, 0
    for _ in range(60):
        chances = rng.dirichlet(np.full(12, 0.05), size=400)
        truth = (rng.random((400, 1)) > chances.cumsum(axis=1)).sum(axis=1)
        rule = choose_answers(np.array(labels)[truth], chances, tree, 0.85)
        level = (new >= rule.threshold).sum(axis=1) - 1
        right = new[np.arange(len(new)), level][level > 0].mean()
        held += rule.expected.low <= right <= rule.expected.high
        reached += right >= 0.85
    assert held >= 54 and reached >= 57, (held, reached)


def test_the_threshold_is_chosen_by_the_exact_binomial_bound():
    """So many right ones or more come of so small a share in one draw of 40; with none wrong it is ``0.025^(1/n)``."""
    assert [round(sure_share(np.ones(n)), 4) for n in (36, 71, 72)] == [0.9026, 0.9494, 0.9501]
    for n, wrong in ((5, 1), (59, 3), (300, 12), (1000, 400)):
        low = sure_share(np.arange(n) >= wrong)
        assert binom.sf(n - wrong - 1, n, low) == pytest.approx(0.025)
    assert sure_share(np.zeros(9)) == 0
    # Of 40 groups whose photos are all alike there are 40 photos, and Student's t takes the place of 1.96.
    groups, right = np.repeat(np.arange(40), 5), np.repeat(np.arange(40) >= 4, 5)
    low, tail = sure_share(right, groups), norm.sf(t.ppf(0.975, 39))
    n = 36 / 0.9 * 39 / 40  # the variance of groups is that of a sample
    assert low == pytest.approx(beta.ppf(tail, 0.9 * n, 0.1 * n + 1), abs=1e-6)
    assert low < sure_share(np.arange(40) >= 4) < sure_share(right)


def jeffreys(right: float, n: float) -> list[float]:
    return beta.ppf([0.025, 0.975], right + 0.5, n - right + 0.5).tolist()


def test_what_more_photos_bring_is_added_to_the_promise_by_hand():
    photo, ones = np.arange(400), np.ones(400)
    given = Answered(ones, photo >= 20)
    plain = answers_share(given, photo)
    assert plain == pytest.approx((0.95, *jeffreys(380, 400)))
    # Where errors are a + b / n: of four fifths of the photos 1.25 b, of halves 2 b, of all photos b (in shares).
    b = 0.03
    halves = Answered(ones, photo >= round(400 * (0.05 + 0.75 * b)))
    share, low, high = answers_share(given, photo, 5, halves)
    assert share == pytest.approx(0.95 + 0.25 * b)
    # A photo counts as right, and a third more of what it is beyond the halves; its variance is that of the estimate.
    value = np.where(photo < 20, 0.0, np.where(photo < 29, 4 / 3, 1.0))
    variance = value.var() / 400
    assert [low, high] == pytest.approx(jeffreys(share * (n := share * (1 - share) / variance), n))
    # Nothing is added without heads of fewer photos, where they are no worse, or where there were but two folds.
    for other in (None, Answered(ones, photo >= 20), Answered(ones, photo >= 10)):
        assert answers_share(given, photo, 5, other) == pytest.approx(plain)
    assert answers_share(given, photo, 2, halves) == plain
    # One error in five can go at most, for all of them to be for want of photos; and of three folds one in three.
    bad = Answered(ones, photo >= 200)
    assert answers_share(given, photo, 5, bad)[0] == pytest.approx(0.96)
    assert answers_share(given, photo, 3, bad)[0] == pytest.approx(0.95 + 0.05 / 3)


def test_photos_without_an_answer_count_neither_way():
    photo = np.arange(400)
    some = (photo % 2).astype(float)
    half = answers_share(Answered(some, some * (photo >= 40)), photo)
    assert half == pytest.approx((0.9, *jeffreys(180, 200)))
    assert answers_share(Answered(some, some), photo)[0] == 1 == answers_share(Answered(some, some), photo)[2]
    assert answers_share(Answered(some, some), photo)[1] == pytest.approx(beta.ppf(0.025, 200.5, 0.5))
    assert answers_share(Answered(some, 0 * some), photo)[:2] == (0, 0)


def test_groups_of_copies_tell_as_much_as_one_of_each():
    photo, right = np.arange(50), np.arange(50) >= 5
    once = answers_share(Answered(np.ones(50), right), photo)
    copies = answers_share(Answered(np.ones(150), np.repeat(right, 3)), np.repeat(photo, 3))
    assert copies[0] == once[0] and copies[1] < once[1] and copies[2] > once[2]
    assert copies[1:] == pytest.approx(once[1:], abs=0.01)


def test_the_server_tells_the_answer_of_each_photo():
    pytest.importorskip("fastapi", reason="pip install '.[serve]'")
    from classify.serving.batching import Answer
    from classify.serving.service import Service, _row_of

    tree = {"tea rose": "rose", "dog rose": "rose", "tulip": "", "dog": ""}
    model = train(rose_table(), taxonomy=tree, answer_accuracy=0.9)
    found = predict_table(model, rose_table())
    row = found.answers.name.index("rose")
    service = SimpleNamespace(labels=model.labels)
    told = json.loads(Service.line(service, "a.jpg", Answer(_row_of(found, row)), 1))
    assert told["image"] == "a.jpg" and told["answer"] == "rose" and told["answer_level"] == 1
    assert told["answer_confidence"] == pytest.approx(found.answers.confidence[row], abs=1e-6)
