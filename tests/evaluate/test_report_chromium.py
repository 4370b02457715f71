"""The report in a real browser: it works, says nothing to the console, fetches nothing, and fits the screen."""

import json
import os
import select
import shutil
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest

from evaluate.comparison import compare
from evaluate.curves import learning_curve
from evaluate.duplicates import find_duplicates
from evaluate.report import write_report
from evaluate.report.labels import SHOWN_CONFUSIONS
from featurize.table import FeatureTable

TIMEOUT = 60


class Chromium:
    """Headless Chromium, driven over a pair of pipes in the DevTools protocol: no port, no further package."""

    def __init__(self, program, profile):
        to_browser, ours = os.pipe()
        theirs, from_browser = os.pipe()
        options = [
            "--headless",
            "--no-sandbox",  # or it does not start for root, as in most containers
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--no-first-run",
            f"--user-data-dir={profile}",
            "--remote-debugging-pipe",
            "about:blank",
        ]
        # Chromium reads commands from descriptor 3 and answers on 4.
        connect = f'exec "$@" 3<&{to_browser} 4>&{from_browser}'
        self.process = subprocess.Popen(
            ["bash", "-c", connect, "bash", program, *options],
            pass_fds=(to_browser, from_browser),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(to_browser)
        os.close(from_browser)
        self.ours, self.theirs = ours, theirs
        self.received, self.number, self.session, self.events = b"", 0, None, []
        (page,) = [one for one in self("Target.getTargets")["targetInfos"] if one["type"] == "page"]
        target = page["targetId"]
        self.session = self("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self(f"{domain}.enable")

    def __call__(self, method, **params):
        """The result of one command; what happens meanwhile is kept in `events`."""
        self.number += 1
        message = {"id": self.number, "method": method, "params": params}
        if self.session:
            message["sessionId"] = self.session
        os.write(self.ours, json.dumps(message).encode() + b"\0")
        answer = self._next(lambda one: one.get("id") == self.number)
        assert "error" not in answer, answer
        return answer["result"]

    def _next(self, wanted):
        until = time.monotonic() + TIMEOUT
        while True:
            message, end, rest = self.received.partition(b"\0")
            if end:
                self.received, found = rest, json.loads(message)
                if "method" in found:
                    self.events.append(found)
                if wanted(found):
                    return found
                continue
            ready, _, _ = select.select([self.theirs], [], [], max(0.0, until - time.monotonic()))
            data = os.read(self.theirs, 1 << 20) if ready else b""
            assert data, f"Chromium said nothing for {TIMEOUT} s, or has ended ({self.process.poll()})"
            self.received += data

    def open(self, path, width=1200, height=900):
        """Load a file afresh, in a window of that size."""
        self.events.clear()
        self(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=False,
        )
        self("Page.navigate", url=Path(path).as_uri())
        if not any(one["method"] == "Page.loadEventFired" for one in self.events):
            self._next(lambda one: one.get("method") == "Page.loadEventFired")

    def run(self, script):
        """The value of a JavaScript expression in the page."""
        found = self("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in found, found
        return found["result"].get("value")

    def press(self, key):
        """A key, as a person presses it."""
        codes = {"Enter": 13, "Tab": 9}
        common = {"key": key, "code": key, "windowsVirtualKeyCode": codes[key]}
        text = {"text": "\r"} if key == "Enter" else {}
        self("Input.dispatchKeyEvent", type="keyDown", **common, **text)
        self("Input.dispatchKeyEvent", type="keyUp", **common)

    def click(self, selector):
        """The left button in the middle of an element, wherever it is."""
        place = self.run(
            f"(() => {{ const one = document.querySelector({json.dumps(selector)}); "
            "one.scrollIntoView({block: 'center', behavior: 'instant'}); "
            "const box = one.getBoundingClientRect(); "
            "return {x: box.x + box.width / 2, y: box.y + box.height / 2}; })()"
        )
        for kind in ("mousePressed", "mouseReleased"):
            self("Input.dispatchMouseEvent", type=kind, button="left", clickCount=1, **place)

    def complaints(self):
        """What went to the console, and every address asked for that is not the file itself."""
        said = [
            one
            for one in self.events
            if one["method"] in ("Log.entryAdded", "Runtime.exceptionThrown", "Runtime.consoleAPICalled")
        ]
        asked = [
            one["params"]["request"]["url"]
            for one in self.events
            if one["method"] == "Network.requestWillBeSent"
        ]
        return said + [url for url in asked if not url.startswith(("file:///", "data:"))]

    def close(self):
        os.close(self.ours)  # the end of its commands is the end of it
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        os.close(self.theirs)


@pytest.fixture(scope="module")
def chromium(tmp_path_factory):
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if program is None or os.name != "posix":
        if os.environ.get("REQUIRE_TEST_ASSETS"):
            pytest.fail("there is no chromium; on Debian: apt-get install chromium")
        pytest.skip("chromium is not installed")
    browser = Chromium(program, tmp_path_factory.mktemp("chromium"))
    yield browser
    browser.close()


@pytest.fixture(scope="module")
def page(comparison, tmp_path_factory):
    path = tmp_path_factory.mktemp("page") / "report.html"
    write_report(comparison, path)
    return path


LOSS, FEATURES = 5, 0
COLUMN = "[...document.querySelectorAll('#comparison tbody tr')].map(row => row.cells[{}].innerText.trim())"
SORTS = (
    "[...document.querySelectorAll('#comparison thead th')].map(one => one.getAttribute('aria-sort'))"
    ".filter(one => one !== 'none')"
)
FITS = "document.documentElement.scrollWidth <= document.documentElement.clientWidth"


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


def test_the_keyboard_sorts_too(chromium, page, comparison):
    chromium.open(page)
    chromium.run(f"document.querySelector('{header(LOSS)}').focus()")
    chromium.press("Enter")
    assert chromium.run(SORTS) == ["descending"]
    chromium.press("Tab")
    assert chromium.run("document.activeElement.innerText") == "Fit s"


def test_numbers_sort_by_size_and_what_is_unknown_comes_last(chromium, page):
    chromium.open(page)
    rows = ["10", "9", "unknown", "1,200", "-3", ""]
    chromium.run(
        "{ const table = document.querySelector('#labels table'); table.tBodies[0].innerHTML = "
        + json.dumps("".join(f"<tr><th>{place}</th><td>{text}</td></tr>" for place, text in enumerate(rows)))
        + "; }"
    )
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


@pytest.mark.parametrize("width", [390, 1200])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_can_be_read(chromium, page, width, scheme):
    """Contrast of 4.5 (WCAG AA) between each text and what lies behind it, and nothing wider than the window."""
    chromium("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
    try:
        chromium.open(page, width)
        assert chromium.run(FITS)
        assert chromium.run(CONTRASTS) == []
    finally:
        chromium("Emulation.setEmulatedMedia", features=[])


# Texts whose contrast is below 4.5: a canvas turns any colour into red, green and blue, and lays one over another.
CONTRASTS = """(() => {
  const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  canvas.canvas.width = canvas.canvas.height = 1;
  const over = (colours) => {
    canvas.clearRect(0, 0, 1, 1);
    for (const one of colours) { canvas.fillStyle = one; canvas.fillRect(0, 0, 1, 1); }
    return [...canvas.getImageData(0, 0, 1, 1).data].slice(0, 3);
  };
  const light = (rgb) => {
    const [r, g, b] = rgb.map((v) => (v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const poor = [];
  for (const one of document.querySelectorAll("body *")) {
    const text = [...one.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim());
    if (!text || !one.checkVisibility() || ["SCRIPT", "STYLE"].includes(one.tagName)) continue;
    const behind = [];
    let opacity = 1;
    for (let up = one; up; up = up.parentElement) {
      const style = getComputedStyle(up);
      behind.unshift(style.backgroundColor);
      opacity *= Number(style.opacity);
    }
    const style = getComputedStyle(one), ground = over(behind);
    const ink = over([...behind, one.closest("svg") ? style.fill : style.color]);
    const seen = ink.map((v, i) => opacity * v + (1 - opacity) * ground[i]);
    const [a, b] = [light(seen), light(ground)].sort();
    const ratio = (b + 0.05) / (a + 0.05);
    if (ratio < 4.5) poor.push([one.tagName, one.className, one.textContent.trim().slice(0, 30), ratio]);
  }
  return poor;
})()"""


@pytest.mark.parametrize("width", [320, 390, 1200])
def test_hostile_and_endless_names_do_nothing_and_fit(chromium, tmp_path, width):
    evil = "\"><img src=x onerror='window.pwned=1'><script>window.pwned=1</script>"
    names = [evil, "\u202egnp.exe", "x" * 300, "javascript:alert(1)", "</title></style></script>"]
    rng = np.random.default_rng(0)
    label = [names[i % 5] for i in range(60)]
    table = FeatureTable.from_arrays(
        {f"{evil}:{'y' * 120}": rng.normal(size=(60, 64))},
        label=label,
        image=[f"{one}/{i}{'z' * 200}.jpg" for i, one in enumerate(label)],
    )
    table.metadata["source"] = {"path": evil, "kind": "folder"}
    found = compare(table, heads=["softmax", "knn"], cv=3, jobs=1)
    found.command = f"evaluate compare {evil}"
    write_report(found, tmp_path / "report.html")
    chromium.open(tmp_path / "report.html", width)
    assert chromium.run("[typeof window.pwned, document.title.includes('<script>')]") == ["undefined", True]
    assert chromium.complaints() == [] and chromium.run(FITS)
    assert chromium.run("document.querySelectorAll('script, iframe, object').length") == 1


@pytest.mark.parametrize("width", [390, 1200])
def test_two_hundred_labels_fit(chromium, tmp_path, width):
    rng = np.random.default_rng(0)
    label = [f"species {i % 200:03}" for i in range(600)]
    table = FeatureTable.from_arrays({"x": rng.normal(size=(600, 3))}, label=label)
    found = compare(table, heads=["sklearn.naive_bayes.GaussianNB"], cv=2, jobs=1)
    write_report(found, tmp_path / "report.html")
    chromium.open(tmp_path / "report.html", width)
    assert chromium.complaints() == [] and chromium.run(FITS)
    assert chromium.run("document.querySelectorAll('#labels tbody tr').length") == 200
    assert chromium.run("document.querySelectorAll('#confusion tbody tr').length") == SHOWN_CONFUSIONS


def test_a_report_of_duplicates_and_of_a_curve_say_nothing_to_the_console(chromium, confused, tmp_path):
    for found in (find_duplicates(confused, "good", 0.9), learning_curve(confused, "good", cv=3, jobs=1)):
        write_report(found, tmp_path / "report.html")
        chromium.open(tmp_path / "report.html", 390)
        assert chromium.complaints() == [] and chromium.run(FITS)
