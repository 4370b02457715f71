"""A camera over 30 days, watched by `classify watch` as cron would: the lens gets dirty on day 20.

python examples/watch_camera.py [FOLDER]

The photos are made up, of two kinds of weave; FOLDER (default: a temporary one) is where they lie afterwards. With a
camera of your own, cron runs one line a day, and the exit status 3 sends the mail (in a crontab, % is written \\%):

    classify watch cam.model "photos/$(date +%F)" --since days.json --json days.json > today.txt
    if [ $? = 3 ]; then mail -s "the camera has changed" me < today.txt; fi
"""

import sys
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image, ImageFilter

from classify.cli import main as classify
from featurize.cli import main as featurize

DAYS, DIRTY_FROM, A_DAY = 30, 20, 24


def photo(kind: str, rng: np.random.Generator, dirty: bool) -> Image.Image:
    """Fine or coarse weave, never twice the same; through a greasy lens it is blurred and pale."""
    width = rng.integers(2, 4) if kind == "fine" else rng.integers(5, 9)
    x, y = np.meshgrid(np.arange(64), np.arange(48))
    weave = np.sin(np.pi * x / width + rng.uniform(0, 6)) * np.sin(np.pi * y / width + rng.uniform(0, 6))
    grey = 128 + rng.uniform(40, 70) * weave + rng.normal(0, 12, weave.shape) + rng.uniform(-20, 20)
    made = Image.fromarray(np.clip(grey, 0, 255).astype(np.uint8)).convert("RGB")
    if dirty:
        made = Image.blend(
            made.filter(ImageFilter.GaussianBlur(1.2)), Image.new("RGB", made.size, "white"), 0.25
        )
    return made


def take(folder: Path, number: int, rng: np.random.Generator, labelled: bool = False, dirty: bool = False):
    """So many photos, of both kinds; in class folders where they are labelled."""
    for place in range(number):
        kind = "fine" if rng.random() < 0.5 else "coarse"
        path = folder / (kind if labelled else "") / f"{place:03}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        photo(kind, rng, dirty).save(path)


def main(argv: list[str]) -> int | None:
    """Train, then watch day by day; the first day with an alarm."""
    if not argv:
        with tempfile.TemporaryDirectory() as folder:
            return main([folder])
    home, rng = Path(argv[0]), np.random.default_rng(0)
    store, model, days = (str(home / name) for name in ("store", "cam.model", "days.json"))
    take(home / "labelled", 150, rng, labelled=True)
    table = str(home / "labelled.parquet")
    featurize(
        ["extract", str(home / "labelled"), "--features", "glcm", "--store", store, "-o", table, "--quiet"]
    )
    classify(["train", table, "-o", model, "--quiet"])
    for number in range(1, DAYS + 1):
        today = home / f"day {number:02}"
        take(today, A_DAY, rng, dirty=number >= DIRTY_FROM)
        print(f"day {number:2}  ", end="", flush=True)
        words = ["--since", days, "--json", days, "--date", today.name, "--store", store, "--quiet"]
        if classify(["watch", model, str(today), *words]) == 3:
            print(f"the lens was dirty from day {DIRTY_FROM} on; the first alarm came on day {number}")
            return number
    return None


if __name__ == "__main__":
    main(sys.argv[1:])
