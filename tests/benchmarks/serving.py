"""What `classify serve` costs beside `Predictor` called in a loop, and what it does in a storm of requests.

    python tests/benchmarks/serving.py --assets DIR [--photos 400] [--requests 10000] [--repeats 3]

A softmax on MobileNet 0.25 (128 pixels) of flower photos. Each photo is the body of a request over a connection that
stays open. Photos a second by 1, 8 and 32 clients alternate with the loop in this process; p50 and p95 are those of
single requests. Then comes a storm, a tenth of it hostile (no photo, half a photo, a bomb, 25 MB, a foreign Host,
hang-ups), by 8 clients, with two browsers beside them where Chromium is there: every answer is compared
with that of the loop, and the memory of the server after 100 requests with that at the end. With 2 processors the
clients take theirs from the server.
"""

import http.client
import importlib.util
import json
import os
import shutil
import socket
import statistics
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from figures import alternating, figure, parser, ratio, report

sys.path.insert(0, str(Path(__file__).parents[1]))

from builders import Serving, png
from chromium import Chromium

from classify import Predictor, load_model, save_model, train_model
from featurize import extract

CLIENTS = 1, 8, 32
EVERY = 10  # one in so many is hostile
WARM = 100  # requests before memory is looked at first
BOMB = png(30_000, 30_000, 8, 2, b"")


def main(argv: list[str] | None = None) -> None:
    made = parser(__doc__)
    made.add_argument("--assets", required=True, type=Path)
    made.add_argument("--photos", type=int, default=400, help="of one measurement")
    made.add_argument("--requests", type=int, default=10_000, help="of the storm")
    made.add_argument("--repeats", type=int, default=3)
    args = made.parse_args(argv)
    with tempfile.TemporaryDirectory() as folder:
        rows = measured(args, Path(folder))
    report("serving", rows, args.json)


def measured(args: Any, folder: Path) -> list[dict[str, Any]]:
    model, store, paths = prepared(args.assets, folder)
    photos = [path.read_bytes() for path in paths]
    predictor = Predictor(load_model(model), store=store)
    expected = [predictor.predict(photo) for photo in photos]
    answers = [(one.label[0], float(one.confidence[0])) for one in expected]
    begun = time.perf_counter()
    serving = Serving(model, "--store", store)
    rows = [figure("start to ready", time.perf_counter() - begun, "s")]
    try:
        rows += throughput(args, serving, predictor, photos)
        rows += storm(args.requests, serving, photos, answers, paths, folder)
    finally:
        begun = time.perf_counter()
        status = serving.close()
    rows.append(figure("SIGTERM to the end", time.perf_counter() - begun, "s", at_most=10))
    rows.append(figure("  its status", status, "", at_most=0))
    return rows


def prepared(assets: Path, folder: Path) -> tuple[Path, Path, list[Path]]:
    """A model, the store, and photos that are not those of the training."""
    labels = sorted(path for path in (assets / "data" / "flowers").iterdir() if path.is_dir())
    paths = []
    for label in labels:
        found = sorted(label.iterdir())
        (folder / "photos" / label.name).mkdir(parents=True)
        for path in found[:20]:
            shutil.copy(path, folder / "photos" / label.name)
        paths += found[20:40]
    network = str(assets / "weights" / "mobilenet_v1_0.25_128.pb")
    table = extract(folder / "photos", [network], store=folder / "store")
    save_model(train_model(table), folder / "m.model")
    return folder / "m.model", folder / "store", paths


def throughput(
    args: Any, serving: Serving, predictor: Predictor, photos: list[bytes]
) -> list[dict[str, Any]]:
    numbers = [number % len(photos) for number in range(args.photos)]
    latencies: dict[int, list[float]] = {}

    def loop() -> None:
        for number in numbers:
            predictor.predict(photos[number])

    def asked(n_clients: int) -> Callable[[], None]:
        def ask_all() -> None:
            found = latencies[n_clients] = []
            line = iter(numbers)
            lock = threading.Lock()

            def client() -> None:
                connection = http.client.HTTPConnection("127.0.0.1", serving.port)
                while True:
                    with lock:
                        number = next(line, None)
                    if number is None:
                        return connection.close()
                    begun = time.perf_counter()
                    status, _ = ask(connection, photos[number])
                    found.append(time.perf_counter() - begun)
                    assert status == 200

            with ThreadPoolExecutor(n_clients) as pool:
                for done in [pool.submit(client) for _ in range(n_clients)]:
                    done.result()

        return ask_all

    sides = {"loop": loop} | {str(n): asked(n) for n in CLIENTS}
    times = alternating(sides, args.repeats)
    rows = [figure("Predictor in a loop", args.photos / statistics.median(times["loop"]), "photos/s")]
    for n in CLIENTS:
        rate = args.photos / statistics.median(times[str(n)])
        rows.append(figure(f"{n} client{'s' * (n > 1)}", rate, "photos/s"))
        share, least = ratio(times["loop"], times[str(n)]), {"at_least": 0.85} if n == 8 else {}
        rows.append(figure("  of the loop's", share, "times", **least))
        ordered = sorted(latencies[n])
        for name, place in (("p50", 0.5), ("p95", 0.95)):
            rows.append(figure(f"  {name}", 1000 * ordered[int(place * (len(ordered) - 1))], "ms"))
    return rows


def ask(
    connection: http.client.HTTPConnection, body: bytes, path: str = "/predict", **headers: str
) -> tuple[int, bytes]:
    connection.request("POST", path, body, headers)
    answer = connection.getresponse()
    return answer.status, answer.read()


def hang_up(port: int, photo: bytes, share: float) -> None:
    head = f"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(photo)}\r\n\r\n"
    with socket.create_connection(("127.0.0.1", port)) as client:
        client.sendall(head.encode() + photo[: int(share * len(photo))])


def hostile(number: int, port: int, photo: bytes) -> bool:
    """One request that gets no answer of a photo; whether it got what it should."""
    kind = number % 9
    if kind >= 7:
        hang_up(port, photo, (0.5, 1.0)[kind - 7])
        return True
    connection = http.client.HTTPConnection("127.0.0.1", port)
    status, body, headers = [
        (400, b"", {}),
        (422, b"no photo", {}),
        (422, photo[: len(photo) // 2], {}),
        (422, BOMB, {}),
        (413, bytes(25_000_000) if number % 10 == 0 else bytes(20_000_001), {}),
        (403, photo, {"Host": "evil.example"}),
        (400, b"x", {"Content-Type": "multipart/form-data; boundary=y"}),
    ][kind]
    try:
        return ask(connection, body, **headers)[0] == status
    finally:
        connection.close()


def storm(
    n_requests: int,
    serving: Serving,
    photos: list[bytes],
    answers: list[tuple[str, float]],
    paths: list[Path],
    folder: Path,
) -> list[dict[str, Any]]:
    counts: Counter[str] = Counter()
    local = threading.local()

    def one(number: int) -> None:
        which = number % len(photos)
        if number % EVERY == EVERY - 1:
            counts["hostile"] += 1
            counts["hostile, answered otherwise"] += not hostile(number // EVERY, serving.port, photos[which])
            return
        if not hasattr(local, "connection"):
            local.connection = http.client.HTTPConnection("127.0.0.1", serving.port)
        try:
            status, data = ask(local.connection, photos[which])
        except (OSError, http.client.HTTPException) as error:
            print(f"request {number} was lost: {error!r}", file=sys.stderr)
            counts["lost"] += 1
            del local.connection
            return
        found = json.loads(data)
        if status != 200:
            print(f"request {number} was lost: {status} {data!r}", file=sys.stderr)
            counts["lost"] += 1
        elif found["label"] != answers[which][0] or abs(found["confidence"] - answers[which][1]) > 1e-4:
            counts["wrong"] += 1

    def all_of(numbers: range) -> None:
        with ThreadPoolExecutor(8) as pool:
            for done in [pool.submit(one, number) for number in numbers]:
                done.result()

    all_of(range(WARM))
    before = memory_mb(serving.process.pid)
    begun = time.perf_counter()
    with ThreadPoolExecutor(2) as browsers:
        shown = [browsers.submit(browse, serving.url, paths, answers, folder, n) for n in range(2)]
        all_of(range(WARM, n_requests))
        wrong = sum(one.result() for one in shown)
    seconds = time.perf_counter() - begun
    after = memory_mb(serving.process.pid)
    return [
        figure("the storm", (n_requests - WARM) / seconds, "requests/s"),
        figure("  requests", n_requests, ""),
        figure("  of them hostile", counts["hostile"], ""),
        figure("  hostile ones with another status", counts["hostile, answered otherwise"], "", at_most=0),
        figure("  wrong answers", counts["wrong"], "", at_most=0),
        figure("  lost answers", counts["lost"], "", at_most=0),
        figure("  wrong or lost in two browsers", wrong, "", at_most=0),
        figure(f"  memory after {WARM}", before, "MB"),
        figure("  more memory at the end", after - before, "MB", at_most=20),
    ]


def browse(url: str, paths: list[Path], answers: list[tuple[str, float]], folder: Path, number: int) -> int:
    """How many photos another browser shows wrongly, or not at all."""
    program = shutil.which("chromium") or shutil.which("google-chrome")
    if program is None:
        print("there is no chromium: no browser takes part", file=sys.stderr)
        return 0
    browser = Chromium(program, folder / f"browser {number}")
    try:
        browser.open(url + "/")
        browser.wait_for("about !== null")
        browser.drop(*paths)
        browser.wait_for(f"document.querySelectorAll('#rows tr').length === {len(paths)}")
        rows = browser.run("[...document.querySelectorAll('#rows tr')].map(row => row.cells[1].innerText)")
        return sum(shown != label for shown, (label, _) in zip(rows, answers, strict=True))
    finally:
        browser.close()


def memory_mb(number: int) -> float:
    """What a process holds in memory."""
    for line in Path(f"/proc/{number}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1000
    raise ValueError(f"no memory of process {number}")


if __name__ == "__main__":
    if importlib.util.find_spec("uvicorn") is None:
        sys.exit("pip install '.[serve]'")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    main()
