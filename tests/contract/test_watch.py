"""Watching: quiet months are quiet, a change is found, and each day is compared with the right ones."""

import json
from pathlib import Path

import numpy as np
import pytest
from builders import made_table, run
from scipy.stats import binomtest

from classify import save_model, train_model, watch_photos
from featurize import FeatureTable


@pytest.fixture(scope="module")
def model():
    return train_model(made_table(300, separation=4), features="good")


def day_table(seed: int, n: int = 60, away: float = 0.0, shares=(1, 1, 1)) -> FeatureTable:
    """Photos of one day, `away` from those of the training, with the labels in these shares."""
    rng = np.random.default_rng(seed)
    table = made_table(3 * n, separation=4, seed=1000 + seed)
    weights = np.array(shares)[np.arange(3 * n) % 3]
    some = table.filter(rng.choice(3 * n, n, replace=False, p=weights / weights.sum()))
    return FeatureTable.from_arrays({"good": some.vectors["good"] + away, "noise": some.vectors["noise"]})


def watch_days(model, tables, days=()):
    """What each day says, each watched with the days before."""
    found = []
    for number, table in enumerate(tables):
        found.append(watch_photos(model, table, days, date=f"day {number}"))
        days = [*found[-1].days, found[-1].today]
    return found


def test_a_month_is_quiet_until_the_lens_is_dirty(model):
    found = watch_days(model, [day_table(n, away=0.8 if n >= 19 else 0) for n in range(30)])
    changed = [one.changed for one in found]
    assert not any(changed[:19]) and any(changed[19:22])
    first = changed.index(True)
    assert found[-1].usual == changed[:-1].count(False)  # changed days are no measure for later ones
    assert found[first].verdict.startswith("Changed: of 60 photos, ")
    assert (
        found[18].verdict
        == "Unchanged: 60 photos are like those of the training and those of 18 earlier days."
    )


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"shares": (1, 0.02, 0.02)}, "are answered ant (3"),
        ({"away": 1.2}, "look like nothing in the training"),
    ],
)
def test_the_verdict_names_what_has_changed(model, change, words):
    usual = watch_days(model, [day_table(n) for n in range(15)])[-1]
    found = watch_photos(model, day_table(99, n=120, **change), [*usual.days, usual.today], date="new")
    assert found.changed and words in found.verdict


def test_answers_and_confidence_alone_are_no_change_against_the_training(model):
    found = watch_photos(model, day_table(5, shares=(1, 0.02, 0.02)))
    assert not found.changed and found.answers["ant"].share > 0.8 and found.answers["ant"].expected is None


def test_few_photos_are_not_judged_and_are_no_measure(model):
    found = watch_days(model, [day_table(1, n=10, away=9.0), day_table(2)])
    assert not found[0].changed and found[0].verdict == "Not judged: 10 photos, and 20 are needed."
    assert found[1].usual == 0


def test_what_was_accepted_is_usual_whatever_the_training_was_like(model):
    strange = [day_table(n, away=2.0) for n in range(10)]
    found = watch_days(model, strange[:6])
    assert all(one.changed for one in found)
    days = [*found[-1].days, found[-1].today]
    accepted = watch_photos(model, strange[6], days, date="day 6", accept=True)
    assert not accepted.changed and accepted.usual == 6
    days = [*accepted.days, accepted.today]
    assert not any(one.changed for one in watch_days(model, strange[7:9], days))
    assert watch_photos(model, day_table(50, away=4.0), days, date="later").changed


def test_intervals_are_wilsons_and_shares_are_counted(model):
    found = watch_photos(model, [day_table(3), day_table(4)])
    assert sum(one.number for one in found.answers.values()) == found.today.photos == 120
    ant = found.answers["ant"]
    wilson = binomtest(ant.number, 120).proportion_ci(method="wilson")
    assert (ant.low, ant.high) == pytest.approx((wilson.low, wilson.high), abs=1e-5)


@pytest.fixture
def here(tmp_path, monkeypatch, model) -> Path:
    monkeypatch.chdir(tmp_path)
    save_model(model, "m.model")
    day_table(1).write("a.parquet")
    day_table(2, away=3.0).write("strange.parquet")
    return tmp_path


def test_the_command_keeps_the_days_in_one_file_and_tells_by_its_status(here):
    words = "--since days.json --json days.json"
    for number in range(3):
        done = run(f"classify watch m.model a.parquet {words} --date 2026-03-0{number}")
        assert done.status == 0 and done.out.startswith("Unchanged: 60 photos"), done.err
    done = run(f"classify watch m.model strange.parquet {words} --date 2026-03-02")
    assert done.status == 3 and done.out.startswith("Changed: of 60 photos")
    content = json.loads(Path("days.json").read_text())
    assert [day["date"] for day in content["days"]] == ["2026-03-00", "2026-03-01", "2026-03-02"]  # replaced
    assert content["changed"] and [day["changed"] for day in content["days"]] == [False, False, True]


@pytest.mark.parametrize(
    ("words", "error"),
    [
        ("m.model nowhere/", "nowhere"),
        ("m.model a.parquet --since no.json", "no.json"),
        ("m.model a.parquet --since a.parquet", "a.parquet"),
        ("m.model a.parquet --since list.json", "list.json"),
        ("m.model a.parquet --since other.json", "another model"),
        ("m.model a.parquet --since minus.json", "minus.json"),
        ("m.model a.parquet --json a.parquet", "a.parquet"),
        ("m.model a.parquet --json no/days.json", "no"),
        ("m.model empty.parquet", "no photo"),
        ("a.parquet a.parquet", "a.parquet"),
    ],
)
def test_what_cannot_be_watched_is_an_error_with_a_hint(here, model, words, error):
    Path("list.json").write_text("[1]")
    content = watch_photos(model, day_table(1)).to_dict()
    Path("other.json").write_text(json.dumps(content | {"model": "svm on x"}))
    content["days"][0]["photos"] = -3
    Path("minus.json").write_text(json.dumps(content))
    day_table(1).filter(np.zeros(60, dtype=bool)).write("empty.parquet")
    done = run(f"classify watch {words}")
    assert done.status == 1 and error in done.error and done.hint
