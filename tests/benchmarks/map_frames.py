"""How fluid the map of 3,000 photos is while it is moved in Chromium, how large it is, and how long it takes to make.

    python tests/benchmarks/map_frames.py --assets ASSETS [--rows 3000]

The vectors are made up, of five labels that overlap; each photo is a link to one of ``ASSETS/data/flowers``.
"""

import hashlib
import shutil
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from figures import figure, parser, report

from evaluate.studies.map import map_photos
from featurize.table import FeatureTable

sys.path.insert(0, str(Path(__file__).parent.parent))
from chromium import Chromium

N_FRAMES = 150
# Milliseconds between frames while a pointer that is down moves at each.
PAN = """new Promise((done) => {
  const canvas = document.querySelector(".map canvas"), box = canvas.getBoundingClientRect(), times = [];
  let frame = 0, last;
  canvas.setPointerCapture = () => {};
  const send = (type, dx, dy) => canvas.dispatchEvent(new PointerEvent(type, { pointerId: 1, pointerType: "mouse",
    clientX: box.x + 300 + dx, clientY: box.y + 200 + dy, bubbles: true }));
  send("pointerdown", 0, 0);
  const next = (now) => {
    if (last !== undefined) times.push(now - last);
    last = now;
    send("pointermove", 60 * Math.sin(frame / 9), 40 * Math.cos(frame / 7));
    if (frame++ < N_FRAMES) requestAnimationFrame(next);
    else { send("pointerup", 0, 0); done(times.sort((a, b) => a - b)); }
  };
  requestAnimationFrame(next);
})""".replace("N_FRAMES", str(N_FRAMES))


def main(argv: list[str] | None = None) -> None:
    made = parser(__doc__)
    made.add_argument("--assets", type=Path, required=True, help="the folder that holds data/flowers")
    made.add_argument("--rows", type=int, default=3000)
    args = made.parse_args(argv)
    files = sorted((args.assets / "data" / "flowers").rglob("*.jpg"))
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        table = _table(files, folder, args.rows)
        start = time.perf_counter()
        map_photos(table).write(folder / "map.html")
        wall = time.perf_counter() - start
        size = (folder / "map.html").stat().st_size / 1e6
        times = _frames(folder)
    rows = [
        figure("photos", args.rows, ""),
        figure("making the map, wall-clock", wall, "s"),
        figure("page", size, "MB", at_most=15),
        figure("median frame while panning", times[len(times) // 2], "ms", at_most=33),
        figure("nine in ten frames", times[len(times) * 9 // 10], "ms"),
    ]
    report("map_frames", rows, args.json)


def _table(files: list[Path], folder: Path, n_rows: int) -> FeatureTable:
    label = np.arange(n_rows) % 5
    image = [f"{i % 5}/{i:06}.jpg" for i in range(n_rows)]
    for i, name in enumerate(image):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).symlink_to(files[i % len(files)].resolve())
    X = np.random.default_rng(0).normal(size=(n_rows, 256)) + 1.5 * np.eye(256)[label]
    digests = [hashlib.sha256(path.read_bytes()).hexdigest() for path in files]
    table = FeatureTable.from_arrays(
        {"made-up": X},
        label=[f"kind {i}" for i in label],
        image=image,
        sha256=[digests[i % len(files)] for i in range(n_rows)],
    )
    table.metadata["source"] = {"kind": "folder", "path": str(folder)}
    return table


def _frames(folder: Path) -> list[float]:
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if program is None:
        raise SystemExit("there is no chromium; on Debian: apt-get install chromium")
    browser = Chromium(program, folder / "profile")
    try:
        browser.open(folder / "map.html")
        return browser.run(PAN)
    finally:
        browser.close()


if __name__ == "__main__":
    main()
