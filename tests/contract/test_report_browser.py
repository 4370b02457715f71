"""The report in a real browser: it works, says nothing to the console, fetches nothing, and fits the screen."""

import json

import numpy as np
import pytest
from chromium import FITS

from evaluate import compare, find_duplicates, learning_curve, write_report
from featurize import FeatureTable


@pytest.fixture(scope="module")
def page(comparison, tmp_path_factory):
    path = tmp_path_factory.mktemp("page") / "report.html"
    write_report(comparison, path)
    return path


LOSS, FEATURES = 5, 0
COLUMN = "[...document.querySelectorAll('#comparison tbody tr')].map(row => row.cells[{}].innerText.trim())"
SORTS = "[...document.querySelectorAll('#comparison th[aria-sort]:not([aria-sort=none])')].map(one => one.ariaSort)"


def header(column):
    return f"#comparison thead th:nth-child({column + 1}) button"


def test_a_click_on_a_header_sorts_the_rows(chromium, page, comparison):
    chromium.open(page)
    loss = [f"{row['log_loss']:.3f}" for row in comparison.results]
    assert chromium.run(COLUMN.format(LOSS)) == loss and len(set(loss)) > 3
    chromium.click(header(LOSS))
    assert chromium.run(COLUMN.format(LOSS)) == sorted(loss, key=float, reverse=True)
    assert chromium.run(SORTS) == ["descending"]
    chromium.click(header(LOSS))
    assert chromium.run(COLUMN.format(LOSS)) == sorted(loss, key=float)
    assert chromium.run(SORTS) == ["ascending"]
    names = [row["features"] for row in comparison.results]
    chromium.click(header(FEATURES))
    assert chromium.run(COLUMN.format(FEATURES)) == sorted(names) != names
    assert chromium.complaints() == []
    # The keyboard sorts too.
    chromium.run(f"document.querySelector('{header(LOSS)}').focus()")
    chromium.press("Enter")
    assert chromium.run(SORTS) == ["descending"]
    chromium.press("Tab")
    assert chromium.run("document.activeElement.innerText") == "Model kB"


def test_numbers_sort_by_size_and_what_is_unknown_comes_last(chromium, page):
    chromium.open(page)
    rows = ["10", "9", "unknown", "1,200", "-3", ""]
    body = "".join(f"<tr><th>{place}</th><td>{text}</td></tr>" for place, text in enumerate(rows))
    chromium.run(f"document.querySelector('#labels table').tBodies[0].innerHTML = {json.dumps(body)}")
    column = "[...document.querySelectorAll('#labels tbody tr')].map(row => row.cells[1].innerText)"
    chromium.click("#labels thead th:nth-child(2) button")
    assert chromium.run(column) == ["1,200", "10", "9", "-3", "unknown", ""]
    chromium.click("#labels thead th:nth-child(2) button")
    assert chromium.run(column) == ["-3", "9", "10", "1,200", "unknown", ""]
    assert "average" in chromium.run("document.querySelector('#labels tfoot').innerText")


def test_sections_close_and_open(chromium, page):
    chromium.open(page)
    shown = "document.querySelector('#scores table').checkVisibility()"
    assert chromium.run(shown)
    chromium.click("#scores > details > summary")
    assert not chromium.run(shown)
    chromium.click("nav a[href='#scores']")  # whoever asks for a closed section wants to read it
    chromium.run("new Promise(done => setTimeout(done))")
    assert chromium.run(shown) and chromium.run("location.hash") == "#scores"
    chromium.click("#fold")
    every = "document.querySelectorAll('section > details[open]').length"
    assert chromium.run(every) == 0
    chromium.run("new Promise(done => setTimeout(done))")
    assert chromium.run("document.getElementById('fold').innerText") == "Open all"
    chromium.click("#fold")
    assert chromium.run(every) == chromium.run("document.querySelectorAll('section').length") > 10
    assert chromium.complaints() == []


def test_in_print_every_section_is_open_and_no_control_shown(chromium, page):
    chromium.open(page)
    chromium.click("#fold")
    chromium("Emulation.setEmulatedMedia", media="print")
    try:
        assert chromium.run("document.querySelector('#scores table').offsetHeight") > 50
        assert not chromium.run("document.querySelector('nav').checkVisibility()")
    finally:
        chromium("Emulation.setEmulatedMedia", media="")
    chromium.run("window.dispatchEvent(new Event('beforeprint'))")
    assert chromium.run("document.querySelectorAll('details:not([open])').length") == 0
    chromium.run("window.dispatchEvent(new Event('afterprint'))")
    assert chromium.run("document.querySelectorAll('section > details[open]').length") == 0


def test_the_methods_paragraph_is_selected_at_a_click(chromium, page, comparison):
    chromium.open(page)
    chromium.click("#methods button")
    paragraph = comparison.to_dict()["methods_paragraph"]
    selected = " ".join(chromium.run("getSelection().toString()").split())
    assert selected.startswith(paragraph["text"]) and selected.endswith(paragraph["references"][-1])


def test_hostile_and_endless_names_do_nothing_and_fit(chromium, tmp_path):
    evil = "\"><img src=x onerror='window.pwned=1'><script>window.pwned=1</script>"
    names = [evil, "\u202egnp.exe", "x" * 300, "javascript:alert(1)", "</title></style></script>"]
    label, vectors = names * 12, np.random.default_rng(0).normal(size=(60, 64))
    image = [f"{one}/{i}{'z' * 200}.jpg" for i, one in enumerate(label)]
    table = FeatureTable.from_arrays({f"{evil}:{'y' * 120}": vectors}, label=label, image=image)
    table.metadata["source"] = {"path": evil, "kind": "folder"}
    found = compare(table, heads=["dummy", "sklearn.naive_bayes.GaussianNB"], cv=2, jobs=1)
    found.command = f"evaluate compare {evil}"
    write_report(found, tmp_path / "report.html")
    for width in (320, 390, 1200):
        chromium.open(tmp_path / "report.html", width)
        assert chromium.run("[typeof pwned, document.title.includes('<script>')]") == ["undefined", True]
        assert chromium.complaints() == [] and chromium.run(FITS), width
        assert chromium.run("document.querySelectorAll('script, iframe, object').length") == 1


def test_two_hundred_labels_fit(chromium, tmp_path):
    label = [f"species {i % 200}" for i in range(400)]
    table = FeatureTable.from_arrays({"x": np.zeros((400, 1))}, label=label)
    write_report(compare(table, heads=["dummy"], cv=2, jobs=1), tmp_path / "report.html")
    for width in (390, 1200):
        chromium.open(tmp_path / "report.html", width)
        assert chromium.complaints() == [] and chromium.run(FITS), width
        assert chromium.run("document.querySelectorAll('#labels tbody tr').length") == 200
        assert chromium.run("document.querySelectorAll('#confusion tbody tr').length") == 40


def test_a_report_of_duplicates_and_of_a_curve_say_nothing_to_the_console(chromium, confused, tmp_path):
    for found in (find_duplicates(confused, "good", 0.9), learning_curve(confused, "good", cv=2, jobs=1)):
        write_report(found, tmp_path / "report.html")
        chromium.open(tmp_path / "report.html", 390)
        assert chromium.complaints() == [] and chromium.run(FITS)


SCRIPTS = "<script>console.error(1)</script>", "<script>undefined.at(0)</script>"


@pytest.mark.parametrize("evil", [*SCRIPTS, "<img src='http://127.0.0.1:9/x'>"])
def test_these_tests_would_see_it(chromium, comparison, tmp_path, evil):
    """The same page with a hole in it: what the other tests find absent is found here, policy or no policy."""
    page = comparison.to_html().replace("<main>", f"<main>{evil}")
    for text in (page, page.replace('http-equiv="Content-Security-Policy"', "")):
        (tmp_path / "report.html").write_text(text)
        chromium.open(tmp_path / "report.html")
        assert chromium.complaints() != []
