"""`evaluate map`: one page that loads nothing, in which pointer, touch and keys find every photo."""

import json
import re

import numpy as np
import pytest
from builders import made_table, network_table, run

from evaluate import map_photos, write_report
from featurize import BottleheadError, FeatureTable


@pytest.fixture
def place(tmp_path, monkeypatch, photos):
    monkeypatch.chdir(tmp_path)
    photos.write("t.parquet")
    return tmp_path


def points_of(page):
    return json.loads(re.search(r'<template class="map-data">(.*?)</template>', page, flags=re.DOTALL)[1])


def test_the_command_writes_a_page_that_marks_what_a_model_gets_wrong(place):
    assert run("classify train t.parquet --features noise --head softmax -o m.model --quiet").status == 0
    done = run("evaluate map t.parquet --model m.model -o map.html --figures f")
    assert done.status == 0, done.err
    assert "60 photos, by noise" in done.out and "means something here" in done.out
    assert sorted(path.name for path in (place / "f").iterdir()) == ["map.pdf", "map.png", "map.svg"]
    predicted = run("classify predict m.model t.parquet --format csv").out.splitlines()[1:]
    said = dict(line.split(",")[:2] for line in predicted)
    points = points_of((place / "map.html").read_text())
    assert dict(zip(points["image"], points["predicted"], strict=True)) == said
    wrong = [n for n, name in enumerate(points["image"]) if said[name] != name.split("/")[0]]
    assert points["wrong"] == wrong and 5 < len(wrong) < 55
    assert all(one.startswith("data:image/jpeg;base64,") for one in points["thumbnails"])


def test_the_page_bears_the_title_and_the_author_that_it_is_given(place):
    given = ["--title", "<b>Leaves</b> of 2017", "--author", "Ann O'Neil"]
    for words, name in (([], "plain.html"), (given, "titled.html")):
        assert run("evaluate", "map", "t.parquet", "-o", name, *words).status == 0
    plain, titled = ((place / name).read_text() for name in ("plain.html", "titled.html"))
    assert "<h1>Map of the photos</h1>" in plain and 'class="byline"' not in plain
    title = "&lt;b&gt;Leaves&lt;/b&gt; of 2017"
    assert f"<title>{title}: " in titled and f"<h1>{title}</h1>" in titled
    head = titled.partition("<main")[0]
    assert "Ann O&#39;Neil" in head and "Map of the photos" in head


BAD = """
map t.parquet -o map.png: -o map.png is not the name of a page
map t.parquet -o t.parquet: t.parquet is an input
map t.parquet -o no/map.html: there is no folder no
map t.parquet --features nothing -o map.html: nothing
map t.parquet --model m.model --features good -o map.html: the model was trained on noise
map missing.parquet -o map.html: there is no table missing.parquet
"""


def test_bad_input_is_one_error_and_one_hint_and_leaves_no_file(place):
    assert run("classify train t.parquet --features noise --head softmax -o m.model --quiet").status == 0
    for case in BAD.strip().splitlines():
        words, message = case.split(": ", 1)
        done = run(f"evaluate {words}")
        assert done.status == 1 and message in done.error and done.hint, (case, done.err)
    assert not (place / "map.html").exists() and not (place / "map.png").exists()


def test_the_map_of_imported_vectors_has_points_and_no_thumbnails():
    table = made_table(40)
    found = map_photos(table, "good")
    page = found.to_html()
    assert points_of(page)["thumbnails"] == [None] * 40
    assert page.count("their points have no thumbnail") == 1
    unlabelled = FeatureTable.from_arrays({"x": np.eye(5)})
    assert "5 photos, by x: principal components (PCA)." in str(map_photos(unlabelled))
    with pytest.raises(BottleheadError, match="no photo to lay out"):
        map_photos(unlabelled.filter(np.zeros(5, dtype=bool)))


def test_near_duplicates_are_joined_and_equal_tables_give_equal_pages():
    table = network_table(60)
    table.vectors["net"][7] = table.vectors["net"][3]
    found = map_photos(table)
    assert found.features == "net" and (3, 7) in found.pairs
    assert found.to_html() == map_photos(table).to_html()
    assert map_photos(table, "glcm").features == "glcm"


# -- In a browser ---

SHOWN = "document.querySelector('.map-count').textContent"
TOLD = "document.querySelector('.map-photo').innerText"
FOCUS = "document.querySelector('.map canvas').focus()"
FITS = "document.documentElement.scrollWidth <= document.documentElement.clientWidth"
# Whether anything is drawn in a label's colour.
COLOURED = """(() => {
  const canvas = document.querySelector(".map canvas"), pen = canvas.getContext("2d");
  const hex = getComputedStyle(document.documentElement).getPropertyValue("--mark-LABEL").trim();
  const [r, g, b] = [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16));
  const data = pen.getImageData(0, 0, canvas.width, canvas.height).data;
  let count = 0;
  for (let at = 0; at < data.length; at += 4) count += data[at] === r && data[at + 1] === g && data[at + 2] === b;
  return count;
})()"""
FRAMES = "new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"


@pytest.fixture(params=["page", "report"])
def page(request, photos, tmp_path, chromium):
    """The map of 60 photos, three labels, as a page of its own or as a section of a report."""
    path = tmp_path / "map.html"
    if request.param == "page":
        map_photos(photos, "good").write(path)
    else:
        write_report(request.getfixturevalue("comparison"), path, tmp_path / "photos")
    chromium.open(path, 1200, 1000)
    chromium.run(
        "document.querySelector('.map canvas').scrollIntoView({block: 'center', behavior: 'instant'})"
    )
    return path


def test_keys_go_from_photo_to_photo_and_let_go(chromium, page):
    chromium.run(FOCUS)
    chromium.press("ArrowRight")
    first = chromium.run(TOLD)
    assert re.search(r"(ant|bee|cat)/\d+\.jpg", first)
    told = {first}
    for key in ["ArrowRight", "ArrowDown", "ArrowLeft", "ArrowUp"] * 3:
        chromium.press(key)
        told.add(chromium.run(TOLD))
    assert len(told) > 3
    chromium.press("Escape")
    assert chromium.run(TOLD).strip() == ""
    assert chromium.complaints() == [] and chromium.run(FITS)


def test_a_label_that_is_switched_off_is_not_drawn(chromium, page):
    before = [chromium.run(FRAMES) or chromium.run(COLOURED.replace("LABEL", str(n))) for n in (1, 2, 3)]
    assert all(count > 50 for count in before)
    chromium.click(".map-labels label:nth-of-type(1) input")
    chromium.run(FRAMES)
    assert chromium.run(SHOWN) == "40 of 60 photos"
    assert chromium.run(COLOURED.replace("LABEL", "1")) == 0 < chromium.run(COLOURED.replace("LABEL", "2"))
    chromium.click(".map-labels [data-every='']")
    assert chromium.run(SHOWN) == "0 of 60 photos"
    chromium.click(".map-labels [data-every='yes']")
    assert chromium.run(SHOWN) == "60 photos"


def place_of(chromium, points, number):
    """Where a photo is in the window, while the whole map is shown."""
    box = chromium.run(
        "(() => { const box = document.querySelector('.map canvas').getBoundingClientRect(); "
        "return [box.x, box.y, box.width, box.height]; })()"
    )
    side = min(box[2:]) - 28
    x, y = points["x"][number], 1 - points["y"][number]
    return box[0] + (box[2] - side) / 2 + x * side, box[1] + (box[3] - side) / 2 + y * side


def test_a_touch_shows_a_photo_and_a_stroke_moves_the_map(chromium, page):
    points = points_of(page.read_text())
    for number in (0, 25, 59):
        touch(chromium, place_of(chromium, points, number))
        assert points["image"][number] in chromium.run(TOLD)
    x, y = place_of(chromium, points, 25)
    touch(chromium, (x, y), (x + 30, y), (x + 90, y - 60))
    assert points["image"][59] in chromium.run(TOLD)  # a stroke chooses nothing
    touch(chromium, (x + 90, y - 60))
    assert points["image"][25] in chromium.run(TOLD)
    chromium.click("[data-zoom='0']")
    touch(chromium, place_of(chromium, points, 25))
    assert points["image"][25] in chromium.run(TOLD)
    assert chromium.complaints() == []


def touch(chromium, *places):
    """A finger that goes down at the first place, over the others, and up."""
    steps = [
        ("pointerdown", places[0]),
        *(("pointermove", one) for one in places[1:]),
        ("pointerup", places[-1]),
    ]
    for kind, (x, y) in steps:
        chromium.run(
            "(() => { const canvas = document.querySelector('.map canvas'); canvas.setPointerCapture = () => {}; "
            f"canvas.dispatchEvent(new PointerEvent('{kind}', {{pointerId: 7, pointerType: 'touch', bubbles: true, "
            f"clientX: {x}, clientY: {y}}})); }})()"
        )


def test_a_pointer_shows_a_thumbnail_and_only_marked_photos_are_left_on_request(chromium, photos, tmp_path):
    images, sha256 = [str(one) for one in photos.image], list(photos.sha256)
    sha256[1] = sha256[0]
    (tmp_path / "photos" / images[1]).write_bytes((tmp_path / "photos" / images[0]).read_bytes())
    path = tmp_path / "map.html"
    wide = np.hstack([photos.vectors["good"], np.random.default_rng(0).normal(size=(60, 96))])
    twins = FeatureTable.from_arrays({"net": wide}, label=photos.label, image=images, sha256=sha256)
    twins.metadata["source"] = photos.metadata["source"]
    map_photos(twins).write(path)
    chromium.open(path, 1200, 1000)
    chromium.click("[data-only=pairs]")
    assert chromium.run(SHOWN) == "2 of 60 photos"
    chromium.run(
        "document.querySelector('.map canvas').scrollIntoView({block: 'center', behavior: 'instant'})"
    )
    chromium.run(FOCUS)
    chromium.press("ArrowRight")
    assert "Nearly the same as ant/" in chromium.run(TOLD)
    assert chromium.run("document.querySelector('.map-photo img').naturalWidth") == 40
    assert chromium.complaints() == []


def test_hostile_names_are_text_in_the_map_and_it_fits_every_screen(chromium, tmp_path):
    evil = "\"><img src=x onerror='window.pwned=1'><script>window.pwned=1</script>&amp;</template>"
    names = [evil, "\u202egnp.exe", "x" * 300, *(f"label {n}" for n in range(60))]
    label = [names[n % len(names)] for n in range(130)]
    image = [f"{one}/{n}.jpg" for n, one in enumerate(label)]
    vectors = np.random.default_rng(0).normal(size=(130, 8))
    table = FeatureTable.from_arrays({evil: vectors}, label=label, image=image)
    map_photos(table).write(tmp_path / "map.html")
    for width in (320, 390, 1200):
        chromium.open(tmp_path / "map.html", width)
        assert chromium.run("typeof pwned") == "undefined"
        assert chromium.complaints() == [] and chromium.run(FITS), width
    assert evil in chromium.run("document.querySelector('.map-labels').textContent")
