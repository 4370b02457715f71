"""Reports with names that no one would wish for, in a real browser: they do nothing, and break no layout."""

import numpy as np
import pytest

from evaluate import compare, find_duplicates, learning_curve, write_report
from featurize import FeatureTable

FITS = "document.documentElement.scrollWidth <= document.documentElement.clientWidth"


@pytest.fixture(scope="module")
def hostile(tmp_path_factory):
    """A report in which every name is hostile or endless."""
    evil = "\"><img src=x onerror='window.pwned=1'><script>window.pwned=1</script>"
    names = [evil, "\u202egnp.exe", "x" * 300, "javascript:alert(1)", "</title></style></script>"]
    rng = np.random.default_rng(0)
    label = [names[i % 5] for i in range(60)]
    image, vectors = [f"{one}/{i}{'z' * 200}.jpg" for i, one in enumerate(label)], rng.normal(size=(60, 64))
    table = FeatureTable.from_arrays({f"{evil}:{'y' * 120}": vectors}, label=label, image=image)
    table.metadata["source"] = {"path": evil, "kind": "folder"}
    found = compare(table, heads=["dummy", "sklearn.naive_bayes.GaussianNB"], cv=2, jobs=1)
    found.command = f"evaluate compare {evil}"
    path = tmp_path_factory.mktemp("reports") / "report.html"
    write_report(found, path)
    return path


@pytest.mark.parametrize("width", [320, 390, 1200])
def test_hostile_and_endless_names_do_nothing_and_fit(chromium, hostile, width):
    chromium.open(hostile, width)
    assert chromium.run("[typeof window.pwned, document.title.includes('<script>')]") == ["undefined", True]
    assert chromium.complaints() == [] and chromium.run(FITS)
    assert chromium.run("document.querySelectorAll('script, iframe, object').length") == 1


@pytest.fixture(scope="module")
def many_labels(tmp_path_factory):
    """A report of two hundred labels."""
    label = [f"species {i % 200:03}" for i in range(400)]
    table = FeatureTable.from_arrays({"x": np.zeros((400, 1))}, label=label)
    path = tmp_path_factory.mktemp("reports") / "report.html"
    write_report(compare(table, heads=["dummy"], cv=2, jobs=1), path)
    return path


@pytest.mark.parametrize("width", [390, 1200])
def test_two_hundred_labels_fit(chromium, many_labels, width):
    chromium.open(many_labels, width)
    assert chromium.complaints() == [] and chromium.run(FITS)
    assert chromium.run("document.querySelectorAll('#labels tbody tr').length") == 200
    assert chromium.run("document.querySelectorAll('#confusion tbody tr').length") == 40


def test_a_report_of_duplicates_and_of_a_curve_say_nothing_to_the_console(chromium, confused, tmp_path):
    for found in (find_duplicates(confused, "good", 0.9), learning_curve(confused, "good", cv=2, jobs=1)):
        write_report(found, tmp_path / "report.html")
        chromium.open(tmp_path / "report.html", 390)
        assert chromium.complaints() == [] and chromium.run(FITS)


@pytest.mark.parametrize(
    "evil",
    [
        "<script>console.error('here')</script>",
        "<img src='http://127.0.0.1:9/x.png'>",
        "<script>undefined.at(0)</script>",
    ],
)
def test_these_tests_would_see_it(chromium, comparison, tmp_path, evil):
    """The same page with a hole in it: what the other tests find absent is found here, policy or no policy."""
    page = comparison.to_html().replace("<main>", f"<main>{evil}")
    for text in (page, page.replace('http-equiv="Content-Security-Policy"', "")):
        (tmp_path / "report.html").write_text(text)
        chromium.open(tmp_path / "report.html")
        assert chromium.complaints() != []
