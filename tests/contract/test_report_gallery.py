"""The report's photos in a real browser: one gallery that filters, labels corrected there, and what is saved."""

import base64
import csv
import json
import re
import xml.etree.ElementTree as ET

import numpy as np
import pytest
from builders import run, with_photos
from chromium import CONTRASTS, FITS

from evaluate import compare, write_report
from featurize import FeatureTable

BAYES = "sklearn.naive_bayes.GaussianNB"
TWINS = ["ant/7.jpg", "cat/41.jpg"]
STRANGE = ['ant/comma, "quoted".jpg', "ant/line\nbreak.jpg", "ant/<b>&amp;.jpg"]


@pytest.fixture(scope="module")
def found(confused, tmp_path_factory):
    """A comparison by noise: most photos are misclassified, some have names that a CSV must quote."""
    rng = np.random.default_rng(9)
    image = [f"{label}/{n}.jpg" for n, label in enumerate(confused.label)]
    image[2:5] = STRANGE
    noise = rng.normal(size=(60, 2))
    noise[41] = noise[7]
    table = FeatureTable.from_arrays({"noise": noise}, label=confused.label, image=image)
    folder = tmp_path_factory.mktemp("photos")
    table = with_photos(table, folder)
    sha256 = list(table.sha256)
    sha256[41] = sha256[7]
    (folder / TWINS[1]).write_bytes((folder / TWINS[0]).read_bytes())
    return compare(table.with_column("sha256", sha256), heads=[BAYES, "knn"], cv=3, jobs=1)


@pytest.fixture(scope="module")
def page(found, tmp_path_factory):
    path = tmp_path_factory.mktemp("page") / "report.html"
    write_report(found, path)
    return path


@pytest.fixture(autouse=True)
def fresh_page(chromium, page):
    chromium.open(page)
    yield
    chromium.run("try { localStorage.clear(); } catch {}")


SHOWN = "[...document.querySelectorAll('.gallery > figure')].filter(one => one.checkVisibility()).map(one => one.id)"
TOLD = "document.querySelector('.filters output').textContent"


def photos_of(page):
    return json.loads(re.search(r'<template class="gallery-data">(.*?)</template>', page.read_text())[1])[
        "photos"
    ]


def shown_of(chromium, page):
    """The names of the photos that are shown."""
    names = [one[0] for one in photos_of(page)]
    return {names[int(one.removeprefix("photo-"))] for one in chromium.run(SHOWN)}


def place_of(page, image):
    return [one[0] for one in photos_of(page)].index(image)


@pytest.mark.parametrize("width", [360, 768, 1400])
def test_the_first_photo_is_on_the_first_screen_and_every_text_can_be_read(chromium, page, width):
    """Light and dark, all photos shown; nothing is said to the console."""
    photo = "document.querySelector('img').getBoundingClientRect()"
    try:
        for scheme in ("light", "dark"):
            chromium(
                "Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}]
            )
            chromium.open(page, width, 780)
            assert chromium.run(f"{photo}.top > 0 && {photo}.bottom <= innerHeight")
            chromium.click(".more button")
            chromium.run("for (const one of document.querySelectorAll('details')) one.open = true")
            assert chromium.run(FITS) and chromium.run(CONTRASTS) == []
            assert chromium.complaints() == []
    finally:
        chromium("Emulation.setEmulatedMedia", features=[])


def test_the_first_screen_shows_three_mistakes_beside_what_they_resemble(chromium, page, found):
    wrong = {one["image"]: one for one in found.best["misclassified"]}
    shown = chromium.run(
        "[...document.querySelectorAll('.glance')].map(one => [one.querySelector('.large').alt, one.innerText])"
    )
    assert len({name for name, _ in shown}) == 3
    for name, text in shown:
        words = " ".join(text.split())
        assert words.startswith(f"{wrong[name]['label']} taken for {wrong[name]['predicted']}")
    assert chromium.run("document.querySelectorAll('.glance .like img').length") == 9
    chromium.click(".glance:nth-of-type(3)")
    chromium.run("new Promise(done => setTimeout(done))")
    assert chromium.run("document.querySelector(location.hash + ' img').alt") == shown[2][0]


def test_every_photo_is_in_the_gallery_once(page):
    text, names = page.read_text(), [one[0] for one in photos_of(page)]
    assert len(names) == len(set(names)) == text.count("<figure id=") > 24
    gallery = re.findall(r'<div class="picture"><img src="([^"]*)"', text)
    points = json.loads(re.search(r'<template class="map-data">(.*?)</template>', text)[1])
    assert len(gallery) == len(names) and not set(gallery) & set(points["thumbnails"])
    elsewhere = {name: f"#photo-{place}" for place, name in enumerate(names)}
    assert all(
        points["thumbnails"][place] == elsewhere.get(name, points["thumbnails"][place])
        for place, name in enumerate(points["image"])
    )


def test_reasons_and_labels_filter_by_keyboard(chromium, page, found):
    wrong = found.best["misclassified"]
    assert len(chromium.run(SHOWN)) == 24 and chromium.run(TOLD) == f"24 of {len(photos_of(page))} photos"
    chromium.run("document.querySelector('.pills input').focus()")
    chromium.press("ArrowRight")
    assert chromium.run(TOLD) == f"24 of {len(wrong)} photos"
    chromium.run("document.querySelector('.more button').focus()")
    chromium.press("Enter")
    assert shown_of(chromium, page) == {one["image"] for one in wrong}
    chromium.run("document.querySelector('[data-by=label]').focus()")
    chromium.press("b")
    assert shown_of(chromium, page) == {one["image"] for one in wrong if one["label"] == "bee"}
    chromium.run("document.querySelector('.pills :checked').focus()")
    while chromium.run("document.activeElement.value") != "suspect":
        chromium.press("ArrowRight")
    bees = {one["image"] for one in found.best["label_suspects"] if one["label"] == "bee"}
    assert shown_of(chromium, page) == bees != set()
    # A link to a photo that is filtered out shows it all the same.
    hidden = next(n for n, one in enumerate(photos_of(page)) if one[1] == "cat")
    chromium.run(f"location.hash = 'photo-{hidden}'; new Promise(done => setTimeout(done, 50))")
    assert chromium.run(f"document.getElementById('photo-{hidden}').checkVisibility()")
    assert chromium.complaints() == []


def test_a_cell_of_the_confusion_matrix_shows_its_photos(chromium, page, found):
    chromium.click(".confusion [data-label=cat][data-predicted=ant] button")
    wrong = found.best["misclassified"]
    expected = {one["image"] for one in wrong if (one["label"], one["predicted"]) == ("cat", "ant")}
    assert shown_of(chromium, page) == expected != set()
    assert chromium.run(TOLD).startswith(str(len(expected)))


def test_without_javascript_every_photo_is_shown_and_reasons_filter(chromium, page, found):
    chromium("Emulation.setScriptExecutionDisabled", value=True)
    try:
        chromium.open(page)
        assert len(chromium.run(SHOWN)) == len(photos_of(page))
        assert not chromium.run("document.querySelector('.by-label, .choice')?.checkVisibility()")
        chromium.click(".pills [value=every]")
        assert len(chromium.run(SHOWN)) == len(found.best["wrong_every_time"]) > 0
    finally:
        chromium("Emulation.setScriptExecutionDisabled", value=False)


def focus(chromium, place, what):
    chromium.run(f"document.querySelector('#photo-{place} .choice {what}').focus()")


def test_three_corrections_by_keyboard_are_saved_restored_and_applied(chromium, page, found, tmp_path):
    first, second = (place_of(page, name) for name in STRANGE[:2])
    third = next(n for n, one in enumerate(photos_of(page)) if one[1] == "bee")
    kept = next(n for n, one in enumerate(photos_of(page)) if one[1] == "cat")
    chromium.run("document.querySelector('.more button').click()")
    focus(chromium, first, "select")
    chromium.press("c")
    focus(chromium, second, "select")
    chromium.press("l")  # leave this photo out
    focus(chromium, third, "select")
    chromium.press("a")
    focus(chromium, kept, "button")
    chromium.press("Enter")
    told = "document.querySelector('.corrections span').textContent"
    assert chromium.run(told) == "3 corrections, 1 kept"
    chromium.open(page)
    assert chromium.run(told) == "3 corrections, 1 kept"
    assert chromium.run(f"document.querySelector('#photo-{kept} .choice button').ariaPressed") == "true"
    file = chromium.saves("document.querySelector('[data-do=save]').click()", tmp_path)
    assert file.name == "corrections.csv"
    with open(file, encoding="utf-8", newline="") as stream:
        lines = list(csv.reader(stream))
    names = [one[0] for one in photos_of(page)]
    chosen = {STRANGE[0]: "cat", STRANGE[1]: "", names[third]: "ant", names[kept]: "cat"}
    assert lines[0] == ["image", "label"] and sorted(lines[1:]) == sorted(map(list, chosen.items()))
    # What was chosen here is what the command corrects.
    found.table.write(tmp_path / "t.parquet")
    command = f"evaluate compare {tmp_path}/t.parquet --heads {BAYES} --cv 3 --jobs 1 --labels {file}"
    done = run(*command.split())
    assert done.status == 0 and "2 corrected, 1 dropped, 1 confirmed" in done.err
    assert "59 photos" in done.out
    chromium.click("[data-do=forget]")
    chromium.open(page)
    assert not chromium.run("document.querySelector('.corrections').checkVisibility()")


@pytest.mark.parametrize("kind", ["compare", "test"])
def test_after_a_relabelling_the_choices_are_what_the_command_corrects(chromium, found, tmp_path, kind):
    """It offers the labels of the table, writes them, and takes them back with the same relabelling."""
    table = found.table.with_column("label", [name.partition("/")[0] for name in found.table.image])
    table.write(tmp_path / "t.parquet")
    (tmp_path / "map.csv").write_text("label,new_label\nant,insect\nbee,insect\ncat,animal\n")
    command = (
        f"evaluate compare {tmp_path}/t.parquet --heads {BAYES} --cv 3 --jobs 1 --relabel {tmp_path}/map.csv"
    )
    if kind == "test":
        train = f"classify train {tmp_path}/t.parquet --head naive-bayes -o {tmp_path}/m.model -j 1"
        assert run(f"{train} --relabel {tmp_path}/map.csv").status == 0
        command = f"evaluate test {tmp_path}/m.model {tmp_path}/t.parquet"
    page = tmp_path / "report.html"
    assert run(f"{command} --report {page}").status == 0
    chromium.open(page)
    photos = photos_of(page)
    names, labels = [one[0] for one in photos], {one[1] for one in photos}
    assert labels <= {"insect", "animal"}
    alone = [(n, name) for n, name in enumerate(names) if name not in TWINS]
    bee, cat = (next(n for n, name in alone if name.startswith(label)) for label in ("bee", "cat"))
    offered = f"[...document.querySelector('#photo-{bee} select').options].map(one => one.textContent)"
    assert sorted(chromium.run(offered)) == ["ant", "bee", "cat", "leave this photo out"]
    assert chromium.run(f"document.querySelector('#photo-{bee} select').value") == "bee"
    chromium.run("document.querySelector('.more button').click()")
    focus(chromium, bee, "select")
    chromium.press("c")
    focus(chromium, cat, "button")
    chromium.press("Enter")
    (tmp_path / "saved").mkdir()
    file = chromium.saves("document.querySelector('[data-do=save]').click()", tmp_path / "saved")
    assert sorted(file.read_text().splitlines()[1:]) == sorted([f"{names[bee]},cat", f"{names[cat]},cat"])
    done = run(f"{command} --labels {file}")
    assert done.status == 0 and "1 corrected, 1 confirmed" in done.err, done.err


def test_photos_of_the_same_bytes_have_one_label(chromium, page, tmp_path):
    """Two labels for one photo would be refused by whoever reads the file."""
    twins = [n for n, one in enumerate(photos_of(page)) if one[0] in TWINS]
    chromium.run("document.querySelector('.more button').click()")
    focus(chromium, twins[0], "button")
    chromium.press("Enter")
    file = chromium.saves("document.querySelector('[data-do=save]').click()", tmp_path)
    label = photos_of(page)[twins[0]][1]
    lines = file.read_text().splitlines()[1:]
    assert sorted(lines) == sorted(f"{name},{label}" for name in TWINS) and len(lines) == 2


def test_where_the_browser_keeps_nothing_labels_are_corrected_all_the_same(chromium, page, tmp_path):
    chromium.open(f"data:text/html;base64,{base64.b64encode(page.read_bytes()).decode()}")
    refused = "(() => { try { return localStorage.length; } catch { return 'refused'; } })()"
    assert chromium.run(refused) == "refused"
    chromium.click(".more button")
    focus(chromium, place_of(page, STRANGE[0]), "select")
    chromium.press("c")
    file = chromium.saves("document.querySelector('[data-do=save]').click()", tmp_path)
    assert file.read_text() == f'image,label\n"{STRANGE[0].replace(chr(34), chr(34) * 2)}",cat\n'
    assert chromium.complaints("blob:") == []


def test_rows_of_the_mistakes_filter_and_a_table_is_copied_as_it_is_shown(chromium, page, found):
    rows = "[...document.querySelectorAll('#mistakes tbody tr')].filter(one => one.checkVisibility()).length"
    wrong = found.best["misclassified"]
    assert chromium.run(rows) == len(wrong)
    chromium.run("document.querySelector('#mistakes [type=search]').focus()")
    for key in "bee ":
        chromium.press(key)
    expected = [one for one in wrong if "bee" in (one["label"], one["predicted"])]
    assert chromium.run(rows) == len(expected) < len(wrong)
    chromium("Browser.grantPermissions", permissions=["clipboardReadWrite", "clipboardSanitizedWrite"])
    chromium.press("Tab")
    chromium.press("Enter")
    chromium.wait_for("document.querySelector('#mistakes .tools button').textContent === 'Copied'")
    lines = chromium.run("navigator.clipboard.readText()").splitlines()
    assert lines[0].split("\t")[:3] == ["Photo", "Label", "Taken for"]
    assert [line.split("\t")[1:3] for line in lines[1:]] == [
        [one["label"], one["predicted"]] for one in expected
    ]


def test_a_figure_is_saved_with_its_colours(chromium, page, tmp_path):
    file = chromium.saves("document.querySelector('#reliability .drawing button').click()", tmp_path)
    text = file.read_text()
    assert file.name == "reliability.svg" and ET.fromstring(text).tag.endswith("svg")
    assert "var(" not in text and "#0a6a62" in text
    chromium.open(page)
    (tmp_path / "map").mkdir()
    file = chromium.saves("document.querySelector('.map [data-save]').click()", tmp_path / "map")
    assert file.name == "map.png" and file.read_bytes().startswith(b"\x89PNG")
