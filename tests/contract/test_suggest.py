"""Which photos to label next: what is suggested, in which order, and the page to label them on."""

import csv
from pathlib import Path

import numpy as np
import pytest
from builders import digest_of, made_table, run, write_photos

from classify import predict_table, save_model, suggest_photos, train_model
from featurize import FeatureTable, extract

STRATEGIES = ("both", "uncertain", "diverse")


@pytest.fixture(scope="module")
def model():
    return train_model(made_table(90, separation=3), features="good")


def pool_table(n_rows: int = 300, seed: int = 7, **columns) -> FeatureTable:
    """Photos like those of the training, without labels."""
    table = made_table(n_rows, separation=3, seed=seed, start=1000, **columns)
    return table.with_column("label", [None] * n_rows)


def names(found) -> list[str]:
    return [one.image for one in found.ordered]


def margins(model, table) -> np.ndarray:
    two = np.sort(model.predict_proba(table.select("good")), axis=1)[:, -2:]
    return two[:, 1] - two[:, 0]


def test_the_uncertain_are_those_with_the_smallest_margins_in_order(model):
    table = pool_table()
    found = suggest_photos(model, table, 10, strategy="uncertain")
    outlier = predict_table(model, table).outlier
    usual = [str(table.image[row]) for row in np.argsort(margins(model, table)) if not outlier[row]]
    assert names(found) == usual[:10] and any(outlier)
    first = found.ordered[0]
    assert first.order == 1 and first.confidence + first.second_confidence <= 1
    assert first.reason.startswith(f"{first.answer} {100 * first.confidence:.0f} %, {first.second} ")


def test_near_a_threshold_is_uncertain_too():
    table = made_table(80, labels=("ant", "bee"), separation=2)
    model = train_model(table, features="good", positive="ant", threshold="recall=0.95")
    pool = made_table(200, labels=("ant", "bee"), separation=2, seed=9, start=500)
    found = suggest_photos(model, pool, 5, strategy="uncertain")
    at = model.operating_point.threshold
    gap = np.abs(model.predict_proba(pool.select("good"))[:, model.labels.index("ant")] - at)
    rank = dict(zip(pool.image[np.argsort(gap)], range(200), strict=True))
    assert max(rank[name] for name in names(found)) < 5 + len(found.outliers)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_neither_order_nor_batches_change_the_suggestions(model, strategy):
    table = pool_table()
    whole = suggest_photos(model, table, 12, strategy=strategy)
    shuffled = table.filter(np.random.default_rng(0).permutation(len(table)))
    parts = [shuffled[:100], shuffled[100:101], shuffled[101:]]
    assert names(suggest_photos(model, parts, 12, strategy=strategy)) == names(whole)
    assert len(set(names(whole))) == 12


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_no_group_no_copy_and_no_near_duplicate_comes_twice(strategy):
    rng = np.random.default_rng(1)
    label = np.array(["ant", "bee"] * 40)
    centre = rng.normal(size=(2, 16))
    x = rng.normal(size=(80, 16)) + 2 * centre[(label == "bee").astype(int)]
    model = train_model(FeatureTable.from_arrays({"net": x}, label=label))
    # Thirty scenes: a photo, the same bytes again, nearly the same vector, and another one of its group.
    scene = np.repeat(rng.normal(size=(30, 16)) + centre.mean(axis=0), 4, axis=0)
    scene[2::4] += 1e-3
    scene[3::4] += rng.normal(size=(30, 16))
    number = np.arange(120)
    pool = FeatureTable.from_arrays(
        {"net": scene},
        image=[f"{n}.jpg" for n in number],
        sha256=[digest_of(n - 1 if n % 4 == 1 else n) for n in number],
        group=[f"g{n // 4}" if n % 4 in (0, 3) else None for n in number],
    )
    found = suggest_photos(model, pool, 25, strategy=strategy)
    scenes = [int(name.removesuffix(".jpg")) // 4 for name in names(found)]
    assert len(scenes) == len(set(scenes)) == min(25, 30 - len(found.outliers)) or found.left_out


def test_both_takes_one_of_each_kind_of_uncertain_photos():
    rng = np.random.default_rng(2)
    x = np.zeros((120, 12))
    x[:, 0] = np.repeat([-3, 3], 60) + rng.normal(size=120)
    x[:, 1:] = rng.normal(size=(120, 11)) * 4
    model = train_model(FeatureTable.from_arrays({"x": x}, label=np.repeat(["ant", "bee"], 60)))
    # Between the labels lie six kinds of photos, told apart by the other numbers; others are sure.
    kind = np.arange(60) % 6
    between = rng.normal(size=(60, 12)) * 0.05
    between[np.arange(60), 1 + kind] += 6
    sure = rng.normal(size=(600, 12)) + np.where(np.arange(12) == 0, 8, 0)
    pool = FeatureTable.from_arrays({"x": np.r_[between, sure]}, image=[f"{n}" for n in range(660)])
    found = suggest_photos(model, pool, 6)
    chosen = [int(name) for name in names(found)]
    assert sorted(n % 6 for n in chosen if n < 60) == list(range(6))


def test_outliers_come_apart_unless_most_photos_are_such(model):
    table = pool_table(100)
    strange = FeatureTable.from_arrays(
        {"good": np.full((20, 4), 60.0) + np.arange(20)[:, None] ** 2, "noise": np.zeros((20, 2))},
        image=[f"strange/{n}" for n in range(20)],
    )
    found = suggest_photos(model, [table, strange], 30)
    assert not any(name.startswith("strange") for name in names(found)) and len(names(found)) == 30
    assert [one.image for one in found.outliers] == [f"strange/{n}" for n in range(19, 9, -1)]
    assert all(one.order is None and "nothing in the training" in one.reason for one in found.outliers)
    alone = suggest_photos(model, [table[:5], strange], 5, strategy="uncertain")
    assert not alone.outliers and any(name.startswith("strange") for name in names(alone))


def test_photos_with_labels_come_only_where_there_are_no_others(model):
    table, trained = pool_table(40), made_table(90, separation=3)
    labelled = made_table(40, separation=3, seed=8, start=3000)
    assert set(names(suggest_photos(model, [table, labelled], 80))) <= set(table.image)
    some = suggest_photos(model, [trained, labelled], 80)
    assert set(names(some)) <= set(labelled.image) and some.candidates == 40


def test_fewer_photos_than_asked_for_are_all_suggested(model):
    found = suggest_photos(model, pool_table(9), 50)
    assert len(found.photos) == 9 == found.candidates


@pytest.fixture
def here(tmp_path, monkeypatch, model) -> Path:
    monkeypatch.chdir(tmp_path)
    save_model(model, "m.model")
    pool_table(60).write("pool.parquet")
    made_table(90, separation=3).write("trained.parquet")
    return tmp_path


def test_the_command_writes_what_the_function_says(here, model):
    done = run("classify suggest m.model pool.parquet -n 7 -o next.csv --seed 3 --strategy diverse")
    assert done.status == 0, done.err
    rows = list(csv.DictReader(Path("next.csv").read_text().splitlines()))
    found = suggest_photos(model, pool_table(60), 7, strategy="diverse", seed=3)
    assert [row["image"] for row in rows] == [one.image for one in found.photos]
    assert [row["order"] for row in rows][:7] == list("1234567")
    assert rows[0]["sha256"] == found.photos[0].sha256 and rows[0]["answer"] in model.labels


@pytest.mark.parametrize(
    ("words", "status", "error"),
    [
        ("m.model pool.parquet -n 0 -o next.csv", 2, "0"),
        ("m.model pool.parquet -o next.csv --strategy best", 2, "best"),
        ("m.model nowhere/ -o next.csv", 1, "nowhere"),
        ("m.model pool.parquet -o pool.parquet", 1, "pool.parquet"),
        ("m.model pool.parquet -o next.csv --page label.txt", 1, "label.txt"),
        ("m.model pool.parquet -o next.csv --images .", 2, "--images"),
        ("m.model pool.parquet -o next.csv --root .", 1, "manifests"),
        ("pool.parquet pool.parquet -o next.csv", 1, "pool.parquet"),
        ("m.model trained.parquet -o next.csv", 1, "no photo to suggest"),
        ("m.model pool.parquet -o no/next.csv", 1, "no"),
    ],
)
def test_what_cannot_be_done_is_an_error_with_a_hint(here, words, status, error):
    done = run(f"classify suggest {words}")
    assert done.status == status and error in done.err and "Traceback" not in done.err
    assert status == 2 or done.hint
    assert not Path("next.csv").exists()


def press(chromium, key):
    code = ord(key.upper())
    chromium("Input.dispatchKeyEvent", type="keyDown", key=key, text=key, windowsVirtualKeyCode=code)
    chromium("Input.dispatchKeyEvent", type="keyUp", key=key, windowsVirtualKeyCode=code)


def test_the_page_labels_by_keys_undoes_and_gives_a_file_for_extract_and_train(chromium, here):
    write_photos(here / "photos", ['a,"b".png', "c.png", "d.png", "e.png"])
    table = extract("photos", ["color"], store=here / "store")
    labels = ["dark <b>", "light", "dark <b>", "light"] * 10
    x = np.random.default_rng(0).normal(size=(40, table.select("color").shape[1]))
    training = FeatureTable.from_arrays({"color": x}, label=labels)
    training.metadata["features"] = table.metadata["features"]
    save_model(train_model(training), "m.model")
    made = run("classify suggest m.model photos --store store -o next.csv --page label.html")
    assert made.status == 0, made.err
    order = [row["image"] for row in csv.DictReader(Path("next.csv").read_text().splitlines())]
    chromium.open(here / "label.html", width=390, height=844)
    chromium.run("localStorage.clear()")
    for key in "12z29":  # the ninth label does not exist
        press(chromium, key)
    assert chromium.run("csv()") == f"image,label\n{as_cell(order[0])},dark <b>\n{as_cell(order[1])},light\n"
    chromium.run("document.getElementById('new').value = 'grey'")
    chromium.click("#another button")
    chromium.click("#list li:first-child button")
    assert chromium.run("document.getElementById('said').innerText") == "Labelled dark <b>"
    assert chromium.run("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    assert chromium.run("[...document.querySelectorAll('#list img')].length") == 4
    text = chromium.run("csv()")
    chromium.open(here / "label.html")  # what was labelled is still there
    assert chromium.run("csv()") == text and chromium.complaints() == []
    Path("labels.csv").write_text(text)
    done = run("featurize extract labels.csv --root photos --features color --store store -o new.parquet")
    assert done.status == 0, done.err
    said = dict(zip(order, ["dark <b>", "light", "grey"], strict=False))
    new = FeatureTable.read("new.parquet")
    assert dict(zip(new.image, new.label, strict=True)) == said
    table.write("old.parquet")
    assert run("classify labels old.parquet --labels labels.csv -o old2.parquet").status == 0
    old = FeatureTable.read("old2.parquet")
    assert dict(zip(old.image, old.label, strict=True)) == said | {order[3]: None}


def as_cell(name: str) -> str:
    return '"' + name.replace('"', '""') + '"' if "," in name else name
