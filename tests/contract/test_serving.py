"""`classify serve`: the answers of the page and of every API, in any trouble, from a process of its own."""

import base64
import csv
import io
import json
import os
import re
import resource
import shutil
import signal
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from builders import Serving, encoded, form_of, members_of, noise, png, run, write_members, write_textures
from hypothesis import HealthCheck, given, settings
from PIL import Image

from classify import save_model, train_model
from featurize import extract

pytest.importorskip("fastapi", reason="pip install '.[serve]'")

# Waits at photos whose first pixel is (1, 2, 3) for as long as the file CLOSED is there.
GATE = """
import os, time
import numpy as np
from featurize import Extractor

class Gate(Extractor):
    family, version = "gate", 1
    value_names = ("nothing",)
    def __init__(self, preprocess=(), store=None):
        self.preprocess, self.store = preprocess, store
    def settings(self):
        return {}
    def prepare(self, photo):
        if photo.rgb()[0, 0].tolist() == [1, 2, 3]:
            while os.path.exists(os.environ.get("CLOSED", "")):
                time.sleep(0.005)
        return np.zeros(1, np.float32)
"""
EXAMPLES = Path(__file__).parents[2] / "examples"
BOMB = png(30_000, 30_000, 8, 2, b"")


class Place:
    """A folder with photos, their table, a model, and a family of features that can be held up."""

    def __init__(self, folder: Path):
        self.photos, self.store = write_textures(folder / "photos", n=16), folder / "store"
        self.model, self.table = folder / "rough and smooth.model", folder / "t.parquet"
        self.closed, self.site = folder / "closed", folder / "site"
        about = self.site / "gates-1.0.dist-info"
        about.mkdir(parents=True)
        (self.site / "gates.py").write_text(GATE)
        (about / "METADATA").write_text("Name: gates\nVersion: 1.0\n")
        (about / "entry_points.txt").write_text("[featurize.extractors]\ngate = gates:Gate")
        table = extract(self.photos, ["color", "gate"], store=self.store, jobs=1)
        table.write(self.table)
        save_model(train_model(table, features="color+gate", jobs=1), self.model)
        self.paths = sorted(self.photos.rglob("*.png"))[::5]
        self.environment = {"PYTHONPATH": str(self.site), "CLOSED": str(self.closed)}

    def serve(self, *words, **environment) -> Serving:
        return Serving(self.model, "--store", self.store, *words, **self.environment, **environment)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("place")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(folder / "site"))
        yield Place(folder)


@pytest.fixture(scope="module")
def served(place):
    """Most tests ask this one; what one of them does, costs the next nothing."""
    serving = place.serve("--table", place.table, "--max-waiting", "4", "-v")
    yield serving
    assert serving.close() == 0
    assert "Traceback" not in serving.log and "failed:" not in serving.log


@pytest.fixture
def gate(place):
    """Closed: photos of `slow_photo` wait until it is opened."""
    place.closed.touch()
    yield place.closed
    place.closed.unlink(missing_ok=True)


def slow_photo(seed=0) -> bytes:
    pixels = np.asarray(noise(seed=seed)).copy()
    pixels[0, 0] = 1, 2, 3
    return encoded(Image.fromarray(pixels), "PNG")


def wait_until(true):
    until = time.monotonic() + 30
    while not true():
        assert time.monotonic() < until
        time.sleep(0.01)


def lines_of(data: bytes) -> list[dict]:
    return [json.loads(line) for line in data.decode().splitlines()]


def assert_same(found, expected):
    assert [one["label"] for one in found] == [one["label"] for one in expected]
    for one, other in zip(found, expected, strict=True):
        assert one.keys() == other.keys() and one["outlier"] == other["outlier"]
        assert one["probabilities"] == pytest.approx(other["probabilities"], abs=1e-4)


@pytest.fixture(scope="module")
def expected(place):
    words = ["classify", "predict", place.model, *place.paths, "--store", place.store, "--top", "0"]
    return lines_of(run(*words, "--format", "jsonl").out.encode())


# -- answers ---


def test_photos_get_the_answers_of_classify_predict_however_they_are_sent(served, place, expected):
    photos = [path.read_bytes() for path in place.paths]
    raw = [served.ask("POST", "/predict?top=0", photo) for photo in photos]
    assert {status for status, _, _ in raw} == {200}
    assert_same([json.loads(data) for _, _, data in raw], expected)
    assert json.loads(raw[0][2])["image"] == "photo 1"
    # As `curl --data-binary` sends it.
    kind = "application/x-www-form-urlencoded"
    assert served.ask("POST", "/predict?top=0", photos[0], content_type=kind)[2] == raw[0][2]

    body, kind = form_of(*((path.name, photo) for path, photo in zip(place.paths, photos, strict=True)))
    status, headers, data = served.ask("POST", "/predict?top=0", body, content_type=kind)
    assert (status, headers["content-type"]) == (200, "application/x-ndjson")
    assert [one["image"] for one in lines_of(data)] == [path.name for path in place.paths]
    assert_same(lines_of(data), expected)

    text = [base64.b64encode(photo).decode() for photo in photos]
    for instances in ([{"b64": one} for one in text], [{"image_bytes": {"b64": one}} for one in text]):
        body = json.dumps({"instances": instances}).encode()
        status, _, data = served.ask("POST", "/v1/models/rough-and-smooth:predict", body)
        labels = json.loads(served.ask("GET", "/v2/models/rough-and-smooth")[2])["labels"]
        assert status == 200
        for found, one in zip(json.loads(data)["predictions"], expected, strict=True):
            assert dict(zip(labels, found, strict=True)) == pytest.approx(one["probabilities"], abs=1e-4)


def test_what_cannot_be_read_among_others_is_told_in_its_place(served, place, expected):
    good = place.paths[0].read_bytes()
    body, kind = form_of(
        ("a.png", good), ("b.pdf", b"%PDF-1.4"), ("c.png", bytes(21_000_000)), ("d.png", good)
    )
    status, _, data = served.ask("POST", "/predict?top=0", body, content_type=kind)
    found = lines_of(data)
    assert status == 200 and [one["image"] for one in found] == ["a.png", "b.pdf", "c.png", "d.png"]
    assert "not an image" in found[1]["error"] and "more than 20 MB" in found[2]["error"]
    assert_same([found[0], found[3]], [expected[0]] * 2)


def test_the_nearest_training_photos_are_those_of_classify_neighbours(served, place):
    words = ["classify", "neighbours", place.model, place.paths[0], "--store", place.store, "--top", "3"]
    nearest = lines_of(run(*words, "--table", place.table, "--format", "jsonl").out.encode())
    status, _, data = served.ask("POST", "/predict?neighbours=3", place.paths[0].read_bytes())
    found = json.loads(data)["neighbours"]
    assert status == 200 and [{k: v for k, v in one.items() if k != "row"} for one in found] == nearest
    # Without --show-training-photos nobody sees them.
    assert served.ask("GET", f"/training-photos/{found[0]['row']}")[0] == 404


def test_the_health_and_the_state_of_the_model_are_told_as_the_protocols_say(served):
    assert served.ask("GET", "/v2/health/live")[::2] == (200, b'{"live":true}')
    assert served.ask("GET", "/v2/health/ready")[::2] == (200, b'{"ready":true}')
    about = json.loads(served.ask("GET", "/v2/models/rough-and-smooth")[2])
    assert (about["name"], about["platform"]) == ("rough-and-smooth", "bottlehead")
    assert about["outputs"] == [{"name": "probabilities", "datatype": "FP64", "shape": [-1, 2]}]
    (state,) = json.loads(served.ask("GET", "/v1/models/rough-and-smooth")[2])["model_version_status"]
    assert (state["state"], state["status"]["error_code"]) == ("AVAILABLE", "OK")
    assert served.ask("GET", "/v2/models/another")[0] == 404
    assert served.metric("bottlehead_ready") == 1
    assert served.metric("bottlehead_requests_total") > 0


DEEP = b'{"instances": ' + b"[" * 100_000 + b"]" * 100_000 + b"}"
V1 = "/v1/models/rough-and-smooth:predict"
FORM = "multipart/form-data"
HOSTILE = [
    # The status, words of the reason, path, body, headers.
    (400, "body is empty", "/predict", b"", {}),
    (422, "text, not an image", "/predict", b"no photo at all", {}),
    (422, "not an image", "/predict", b"%PDF-1.4\n%\xe2\xe3", {}),
    (422, "megapixels|pixels", "/predict", BOMB, {}),
    (422, "", "/predict", encoded(noise(200, 200), "JPEG")[:2000], {}),
    (413, "more than 20 MB", "/predict", bytes(25_000_000), {}),
    (413, "more than 20 MB", "/predict", iter([bytes(5_000_000)] * 5), {}),
    (415, "multipart/mixed", "/predict", b"x", {"content_type": "multipart/mixed; boundary=x"}),
    (400, "no boundary", "/predict", b"x", {"content_type": FORM}),
    (400, "cannot be read", "/predict", b"x", {"content_type": f"{FORM}; boundary=limit"}),
    (400, "cut off", "/predict", form_of(("a", b"x"))[0][:-9], {"content_type": f"{FORM}; boundary=limit"}),
    (400, "top", "/predict?top=-1", b"x", {}),
    (400, "neighbours", "/predict?neighbours=1000", b"x", {}),
    (400, "no JSON", V1, b"{", {}),
    (400, "no JSON|instances", V1, DEEP, {}),
    (400, "instances", V1, b"[]", {}),
    (400, "instances", V1, b'{"instances": []}', {}),
    (400, "instance 1 is no photo", V1, b'{"instances": [{"b64": "%%"}]}', {}),
    (400, "instance 1 is no photo", V1, b'{"instances": [{"b64": {"b64": 1}}]}', {}),
    (400, "instance 1: text, not an image", V1, b'{"instances": [{"b64": "YWJjZGVm"}]}', {}),
    (404, "there is no POST", "/../../etc/passwd", b"x", {}),
    (405, "", "/metrics", b"x", {}),
    (403, "not called 'evil.example'", "/predict", b"x", {"host": "evil.example"}),
    (403, "not called", "/predict", b"x", {"host": "127.0.0.1.evil.example:8000"}),
    (403, "may not use", "/predict", b"x", {"origin": "http://evil.example"}),
    (403, "may not use", "/predict", b"x", {"origin": "http://localhost:1"}),
    (403, "may not use", "/predict", b"x", {"origin": "null"}),
    (403, "may not use", "/predict", b"x", {"origin": "http://[::1"}),
]  # fmt: skip


def test_what_is_hostile_is_refused_with_the_reason_and_costs_nobody_else(served, place, expected):
    good = place.paths[0].read_bytes()
    for status, reason, path, body, headers in HOSTILE:
        found, answered, data = served.ask("POST", path, body, **headers)
        assert found == status, (path, headers, data)
        assert re.search(reason, json.loads(data)["error"]), data
        assert "access-control-allow-origin" not in answered
    assert_same([json.loads(served.ask("POST", "/predict?top=0", good)[2])], expected[:1])


def test_half_photos_and_clients_that_hang_up_cost_nobody_anything(served, place, gate):
    head = "POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n\r\n"
    photo = slow_photo()
    predicted = served.metric("bottlehead_photos_total")
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(served.ask, "POST", "/predict", photo)
        wait_until(lambda: served.metric("bottlehead_photos_together_sum") > predicted)
        for sent in (
            photo[: len(photo) // 2],
            photo,
        ):  # half of it; all of it, without waiting for the answer
            with socket.create_connection(("127.0.0.1", served.port)) as client:
                client.sendall(head.format(len(photo)).encode() + sent)
                if sent is photo:
                    wait_until(lambda: served.metric("bottlehead_photos_waiting") == 1)
        gone = 'bottlehead_requests_total{path="/predict",status="499"}'
        wait_until(lambda: served.metric(re.escape(gone)) == 2)
        with socket.create_connection(("127.0.0.1", served.port)) as client:
            client.sendall(b"\x16\x03\x01 no HTTP at all\r\n\r\n")
            assert client.recv(100).startswith(b"HTTP/1.1 400")
        gate.unlink()
        assert first.result()[0] == 200
    assert served.ask("POST", "/predict", place.paths[0].read_bytes())[0] == 200
    assert served.metric("bottlehead_photos_total") == predicted + 2


def test_a_full_line_says_when_to_come_back_and_all_who_wait_are_answered(served, gate):
    with ThreadPoolExecutor(8) as pool:
        computed = served.metric("bottlehead_photos_together_sum")
        first = pool.submit(served.ask, "POST", "/predict", slow_photo())
        wait_until(lambda: served.metric("bottlehead_photos_together_sum") == computed + 1)
        waiting = [pool.submit(served.ask, "POST", "/predict", slow_photo(seed)) for seed in range(1, 5)]
        wait_until(lambda: served.metric("bottlehead_photos_waiting") == 4)
        status, headers, data = served.ask("POST", "/predict", slow_photo(9))
        assert (status, headers["retry-after"]) == (503, "1") and "4 photos wait" in json.loads(data)["error"]
        assert served.ask("GET", "/v2/health/live")[0] == 200
        gate.unlink()
        assert {one.result()[0] for one in [first, *waiting]} == {200}
    assert served.metric("bottlehead_photos_together_sum") == computed + 5


def test_five_hundred_photos_at_once_are_answered_in_order(served, place):
    photos = [(f"{number}.png", path.read_bytes()) for number in range(100) for path in place.paths[:5]]
    body, kind = form_of(*photos)
    status, _, data = served.ask("POST", "/predict", body, content_type=kind)
    found = lines_of(data)
    assert status == 200 and [one["image"] for one in found] == [name for name, _ in photos]
    assert [one["label"] for one in found] == [one["label"] for one in found[:5]] * 100


@pytest.mark.skipif(not hasattr(resource, "prlimit"), reason="limits of another process")
def test_photos_are_not_written_to_disk(served):
    """The process may not write a single byte into any file meanwhile."""
    large = encoded(noise(700, 600), "PNG")
    assert len(large) > 1_200_000  # beyond what libraries keep in memory alone
    number = served.process.pid
    before = resource.prlimit(
        number, resource.RLIMIT_FSIZE, (0, resource.getrlimit(resource.RLIMIT_FSIZE)[1])
    )
    try:
        body, kind = form_of(("a.png", large), ("b.png", large))
        assert served.ask("POST", "/predict", body, content_type=kind)[0] == 200
        assert served.ask("POST", "/predict", large)[0] == 200
        instances = {"instances": [{"b64": base64.b64encode(large).decode()}]}
        assert served.ask("POST", V1, json.dumps(instances).encode())[0] == 200
    finally:
        resource.prlimit(number, resource.RLIMIT_FSIZE, before)


def test_names_of_clients_come_back_as_they_are_and_reach_no_log_unescaped(served, place):
    names = [
        "../../etc/passwd",
        "<script>alert(1)</script>",
        "\x1b[31mred",
        "名前.png",
        "a\u202eb",
        "x" * 2000,
    ]
    good = place.paths[0].read_bytes()
    body, kind = form_of(*((name, good) for name in names))
    found = lines_of(served.ask("POST", "/predict", body, content_type=kind)[2])
    assert [one["image"] for one in found] == names
    served.ask("GET", "/%1b%5b31mred%0aerror:%20forged")
    served.said("forged")
    assert r"GET /\x1b[31mred\nerror: forged: 404" in served.log and "\x1b" not in served.log


def test_every_page_and_file_comes_with_a_strict_policy_and_loads_nothing_from_elsewhere(served):
    for path in ("/", "/docs", "/page.js", "/page.css", "/docs.js", "/example.png", "/openapi.json"):
        status, headers, data = served.ask("GET", path)
        policy = headers["content-security-policy"]
        assert status == 200 and "default-src 'none'" in policy and "unsafe" not in policy
        assert headers["x-content-type-options"] == "nosniff"
        assert b"style=" not in data and not re.search(rb"(src|href)=\"?(https?:)?//", data)
        assert b"<style" not in data and not re.search(rb"<script(?! src=)", data)


@pytest.mark.skipif(shutil.which("curl") is None, reason="there is no curl")
def test_every_command_of_the_page_about_the_api_works_as_it_stands(served, place, tmp_path):
    shutil.copy(place.paths[0], tmp_path / "photo.jpg")
    page = served.ask("GET", "/docs")[2].decode().replace("&#39;", "'").replace("&#34;", '"')
    commands = re.findall(r'<pre class="command"[^>]*>(.*?)</pre>', page)
    assert len(commands) == 8 and all(command.startswith("curl ") for command in commands)
    for command in commands:
        assert len(command.splitlines()) == 1
        words = command.replace("curl", "curl --fail --silent --show-error", 1)
        done = subprocess.run(["bash", "-c", words], cwd=tmp_path, capture_output=True, text=True)
        assert done.returncode == 0 and done.stdout, (command, done.stderr)


@pytest.mark.skipif(shutil.which("curl") is None, reason="there is no curl")
def test_the_clients_among_the_examples_print_the_labels(served, place, expected):
    server = os.environ | {"SERVER": served.url}
    for command in ([sys.executable, EXAMPLES / "ask_server.py"], ["sh", EXAMPLES / "ask_server.sh"]):
        done = subprocess.run([*command, *place.paths], env=server, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        labels = [
            re.search(r"""['"]label['"]: ['"](\w+)['"]""", line)[1] for line in done.stdout.splitlines()
        ]
        assert labels == [one["label"] for one in expected]


def test_no_request_that_fits_the_description_or_does_not_is_an_error_of_the_program(served):
    schemathesis = pytest.importorskip("schemathesis")
    schema = schemathesis.openapi.from_dict(json.loads(served.ask("GET", "/openapi.json")[2]))
    n_asked = 0

    def check(case):
        nonlocal n_asked
        n_asked += 1
        assert case.call(base_url=served.url).status_code < 500

    modes = [schemathesis.GenerationMode.POSITIVE, schemathesis.GenerationMode.NEGATIVE]
    for found in schema.get_all_operations():
        operation = found.ok()
        for mode in modes if operation.method == "post" else modes[:1]:
            strategy = operation.as_strategy(generation_mode=mode)
            health = settings(max_examples=6, database=None, suppress_health_check=list(HealthCheck))
            health(given(case=strategy)(check))()
    assert n_asked > 20


# -- the page ---

# Texts of the page that are cut off, or run out of their box.
UNREADABLE = """[...document.querySelectorAll("button, .answer, .words, .bars .name, h1, h2, th")]
  .filter((one) => one.checkVisibility() && one.scrollWidth > one.clientWidth + 1 && one.clientWidth > 0)
  .map((one) => one.textContent)"""
ANSWERED = "document.querySelectorAll('#rows tr').length === 3"
FITS = "document.documentElement.scrollWidth <= document.documentElement.clientWidth"


def test_a_browser_shows_the_answers_of_photos_that_are_dropped_and_hands_out_a_table(
    served, place, expected, chromium, tmp_path
):
    (tmp_path / "paper.pdf").write_bytes(b"%PDF-1.4")
    rough, smooth = place.photos / "rough" / "0.png", place.photos / "smooth" / "0.png"
    chromium("Browser.setDownloadBehavior", behavior="allow", downloadPath=str(tmp_path))
    for width in (360, 1400):
        chromium.open(served.url + "/", width)
        chromium.wait_for("about !== null")
        chromium.drop(rough, tmp_path / "paper.pdf", smooth)
        chromium.wait_for(ANSWERED)
        assert chromium.run(FITS)
        assert [one for one in chromium.complaints(served.url) if "422" not in str(one)] == []
    shown = chromium.run("document.getElementById('photos').innerText")
    assert chromium.run(UNREADABLE) == []
    for words in ("rough", "0.png", "smooth", "Looks like the photos of the training", "not predicted"):
        assert words in shown, shown
    assert "a PDF document, not an image" in shown
    assert "rough: rough/0.png" in shown and "smooth: smooth/0.png" in shown  # its nearest is itself
    assert chromium.run("document.getElementById('progress').innerText") == "3 of 3 done, 1 not predicted"
    assert chromium.run("document.getElementById('card').textContent").startswith("head ")
    chromium.run("document.getElementById('download').focus()")
    chromium.press("Enter")
    wait_until(lambda: (tmp_path / "rough-and-smooth.csv").exists())
    rows = list(csv.DictReader(io.StringIO((tmp_path / "rough-and-smooth.csv").read_text())))
    assert [row["label"] for row in rows] == ["rough", "", "smooth"]
    assert "not an image" in rows[1]["error"] and rows[0]["error"] == ""
    words = ["classify", "predict", place.model, rough, smooth, "--store", place.store, "--top", "0"]
    (first, second) = csv.DictReader(io.StringIO(run(*words, "--format", "csv").out))
    for found, wanted in ((rows[0], first), (rows[2], second)):
        assert list(found) == [*wanted, "error"] and found["outlier"] == wanted["outlier"]
        assert float(found["rough"]) == pytest.approx(float(wanted["rough"]), abs=1e-4)
    # The other ways in: a file that is chosen, and one that is pasted.
    chosen = chromium("Runtime.evaluate", expression="document.getElementById('files')")["result"]["objectId"]
    chromium("DOM.setFileInputFiles", files=[str(smooth)], objectId=chosen)
    chromium.run(
        "fetch('example.png').then((answer) => answer.blob()).then((blob) => { const data = new DataTransfer();"
        "data.items.add(new File([blob], 'pasted.png'));"
        "document.dispatchEvent(new ClipboardEvent('paste', { clipboardData: data })); })"
    )
    chromium.wait_for("document.querySelectorAll('#rows tr').length === 5")
    assert chromium.run("document.getElementById('rows').innerText").count("smooth") >= 2

    chromium.open(served.url + "/docs", 360)
    chromium.run("document.querySelectorAll('button[data-path]').forEach((one) => one.click())")
    results = "[...document.querySelectorAll('.result')].map((one) => one.textContent.slice(0, 4))"
    chromium.wait_for(f"{results}.every((text) => text.length === 4)")
    assert chromium.run(results) == ["200\n"] * 7
    assert chromium.run(FITS) and chromium.complaints(served.url) == []


# -- the process ---


def test_a_model_that_is_replaced_is_served_as_it_was_and_this_is_said(served, place, expected):
    kept = place.model.read_bytes()
    place.model.with_suffix(".new").write_bytes(b"something else")
    place.model.with_suffix(".new").replace(place.model)
    try:
        served.said("was replaced")
        found = json.loads(served.ask("POST", "/predict?top=0", place.paths[0].read_bytes())[2])
        assert_same([found], expected[:1])
        assert json.loads(served.ask("GET", "/about")[2])["replaced"] is True
    finally:
        place.model.write_bytes(kept)


def test_sigterm_finishes_what_is_in_hand_and_ends_in_order(served, gate):
    """The last of those that ask this server."""
    with ThreadPoolExecutor(1) as pool:
        computed = served.metric("bottlehead_photos_together_sum")
        answer = pool.submit(served.ask, "POST", "/predict", slow_photo())
        wait_until(lambda: served.metric("bottlehead_photos_together_sum") > computed)
        half = socket.create_connection(("127.0.0.1", served.port))  # it never sends the other half
        half.sendall(
            b"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99\r\n\r\nhalf of a photo"
        )
        served.process.send_signal(signal.SIGTERM)

        def refuses():
            with closing(socket.socket()) as client:
                return client.connect_ex(("127.0.0.1", served.port)) != 0

        wait_until(refuses)
        gate.unlink()
        assert answer.result()[0] == 200
    with closing(half):
        assert served.process.wait(10) == 0
        assert half.recv(100).startswith(b"HTTP/1.1 503")
    assert served.log.splitlines()[-1] == "stopped"


def test_several_processes_behind_a_proxy_with_a_token(place, tmp_path, chromium):
    (tmp_path / "token").write_text("secret-word\n")
    words = ["--workers", "2", "--token-file", tmp_path / "token", "--root-path", "/photos", "--name", "m"]
    words += ["--table", place.table, "--show-training-photos", "--allow-host", "photos.example.org"]
    serving = place.serve(*words, "--host", "0.0.0.0")
    try:
        assert "whoever reaches 0.0.0.0 over the network can use this server with the token" in serving.log
        photo = place.paths[0].read_bytes()
        status, headers, _ = serving.ask("POST", "/predict", photo)
        assert (status, headers["www-authenticate"]) == (401, "Bearer")
        known = {"authorization": "Bearer secret-word"}
        assert serving.ask("POST", "/predict", photo, authorization="Bearer secret-wor")[0] == 401
        broken = {"content_type": f"{FORM}; boundary=limit"} | known
        assert serving.ask("POST", "/predict", b"x", **broken)[0] == 400
        for path in ("/about", "/metrics", "/training-photos/0", "/v2/models/m", V1):
            assert serving.ask("GET", path)[0] == 401, path
        for path in ("/", "/page.js", "/docs", "/v2/health/ready"):  # they hold no data
            assert serving.ask("GET", path)[0] == 200, path
        assert b'src="/photos/page.js"' in serving.ask("GET", "/")[2]
        proxied = {"host": "photos.example.org", "origin": "https://photos.example.org"} | known
        assert serving.ask("POST", "/predict", photo, **proxied)[0] == 200
        status, headers, data = serving.ask("GET", "/training-photos/1", **known)
        assert (status, headers["content-type"]) == (200, "image/jpeg")
        assert Image.open(io.BytesIO(data)).size == (64, 48)
        for row in ("-1", "32", "9999999999999999999999", "1.png", "..%2f..%2fetc%2fpasswd"):
            assert serving.ask("GET", f"/training-photos/{row}", **known)[0] in (400, 404), row

        chromium.open(serving.url + "/")
        chromium.wait_for("document.activeElement.id === 'token'")
        chromium("Input.insertText", text="secret-word")
        chromium.press("Enter")
        chromium.wait_for("about !== null")
        chromium.drop(place.photos / "rough" / "0.png")
        chromium.wait_for("document.querySelectorAll('.near img').length === 3")

        workers = subprocess.run(
            ["pgrep", "-P", str(serving.process.pid), "-f", "spawn_main"], capture_output=True, text=True
        ).stdout.split()
        assert len(workers) == 2
        os.kill(int(workers[0]), signal.SIGKILL)
        serving.said("another one starts")
        wait_until(lambda: serving.ask("GET", "/v2/health/ready")[0] == 200)
        for _ in range(6):
            assert serving.ask("POST", "/predict", photo, **known)[0] == 200
    finally:
        assert serving.close() == 0
    assert "Traceback" not in serving.log and "boundary" not in serving.log  # what clients send fills no log


def test_ready_tells_the_truth_and_a_model_that_fails_its_check_is_never_ready(place, tmp_path):
    members = members_of(place.model)
    about = json.loads(members["model.json"])
    golden = about["described"]["color"]["golden"]
    golden[:] = [value + 1 for value in golden]
    write_members(tmp_path / "m.model", members | {"model.json": json.dumps(about)})
    done = run("classify", "serve", tmp_path / "m.model", "--port", "0", "--store", place.store)
    assert done.status == 1 and "color does not make the vectors of the training here" in done.error
    assert "ready after" not in done.err


def test_what_cannot_be_served_is_one_error(place, tmp_path, monkeypatch):
    (tmp_path / "no.model").write_text("no model")
    (tmp_path / "two words").write_text("two words")
    with closing(socket.socket()) as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        for status, error, words in [
            (1, "cannot listen on http://127.0.0.1:\\d+: Address already in use", ["--port", port]),
            (1, "is no address", ["--host", "no such host"]),
            (1, "no token", ["--token-file", tmp_path / "two words"]),
            (1, "No such file", ["--token-file", tmp_path / "none"]),
            (2, "without --table", ["--show-training-photos"]),
            (2, "is no name", ["--name", "a/b"]),
            (2, "is no path", ["--root-path", "a b"]),
            (2, "no name of a host", ["--allow-host", "http://a"]),
        ]:
            done = run("classify", "serve", place.model, *words)
            assert done.status == status and re.search(error, done.error), done.err
    done = run("classify", "serve", tmp_path / "no.model", "--port", "0")
    assert done.status == 1 and f"{tmp_path / 'no.model'} cannot be read as a model" in done.error
    for words in (["--port", "70000"], ["--max-mb", "0"], ["--workers", "0"], ["--max-waiting", "x"]):
        assert run("classify", "serve", place.model, *words).status == 2
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    done = run("classify", "serve", place.model)
    assert done.status == 1 and "needs uvicorn" in done.error
    assert done.hint == "pip install '.[serve]' in the checkout"


@pytest.mark.tensorflow
def test_a_network_answers_as_classify_predict_does_for_many_at_once(assets, networks_store, tmp_path):
    flowers = [sorted((assets / "data" / "flowers" / label).iterdir())[:8] for label in ("roses", "tulips")]
    for path in (one for some in flowers for one in some):
        (tmp_path / "photos" / path.parent.name).mkdir(parents=True, exist_ok=True)
        shutil.copy(path, tmp_path / "photos" / path.parent.name)
    network = str(assets / "weights" / "mobilenet_v1_0.25_128.pb")
    table = extract(tmp_path / "photos", [network], store=networks_store)
    save_model(train_model(table, jobs=1), tmp_path / "m.model")
    serving = Serving(tmp_path / "m.model", "--store", networks_store, wait=False)
    try:
        early = serving.ask("GET", "/v2/health/ready")[0], serving.ask("POST", "/predict", b"x")[0]
        assert early == (503, 503) and serving.ask("GET", "/v2/health/live")[0] == 200
        serving.said("ready after")
        assert serving.ask("GET", "/v2/health/ready")[0] == 200
        paths = sorted((tmp_path / "photos").rglob("*.jpg"))
        with ThreadPoolExecutor(8) as pool:
            found = list(
                pool.map(lambda path: serving.ask("POST", "/predict?top=0", path.read_bytes()), paths)
            )
        assert {status for status, _, _ in found} == {200}
        words = ["classify", "predict", tmp_path / "m.model", *paths, "--store", networks_store, "--top", "0"]
        expected = lines_of(run(*words, "--format", "jsonl").out.encode())
        assert_same([json.loads(data) for _, _, data in found], expected)
    finally:
        assert serving.close() == 0
