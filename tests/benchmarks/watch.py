"""How seldom `classify watch` cries wolf, and how soon it sees a dirty lens; the figures of ``classify/README.md``.

    python tests/benchmarks/watch.py ASSETS [--store DIR] [--splits 20] [--months 50]

ASSETS holds ``data/flowers`` and ``weights`` (see README, "Develop"). For each split half of the flowers trains a
softmax, and a camera takes 60 of the others on each of 30 days, alike or with the labels uneven from day to day. In a
quiet month nothing else happens; in others the lens is dirty from day 20 on: photos are blurred and pale. Printed are
quiet months with an alarm, and months in which the dirt was seen by day 22.
"""

import tempfile
from pathlib import Path

import numpy as np
from figures import figure, parser, report
from PIL import Image, ImageFilter
from threadpoolctl import threadpool_limits

from classify import predict_table, train_model
from classify.watch.watch import describe_day, judge_day
from featurize import FeatureTable, InceptionV3, extract

DAYS, DIRTY_FROM, SEEN_BY, A_DAY = 30, 20, 22, 60
KINDS = ("alike", "uneven labels")


def main(argv: list[str] | None = None) -> None:
    made = parser(__doc__)
    made.add_argument("assets", type=Path)
    made.add_argument("--store", type=Path, help="where vectors are kept (default: a temporary folder)")
    made.add_argument("--splits", type=int, default=20)
    made.add_argument("--months", type=int, default=50, help="for each split")
    args = made.parse_args(argv)
    with tempfile.TemporaryDirectory() as folder, threadpool_limits(1):
        rows = watch(args.assets, args.store or Path(folder), args.splits, args.months)
    report("watch", rows, args.json)


def dirty(photos: Path, folder: Path) -> Path:
    """The same photos through a greasy lens."""
    for path in sorted(photos.rglob("*.jpg")):
        to = folder / path.relative_to(photos)
        if not to.exists():
            to.parent.mkdir(parents=True, exist_ok=True)
            photo = Image.open(path).convert("RGB")
            photo = photo.filter(ImageFilter.GaussianBlur(max(photo.size) / 120))
            Image.blend(photo, Image.new("RGB", photo.size, (190, 185, 175)), 0.3).save(to, quality=90)
    return folder


def watch(assets: Path, store: Path, splits: int, months: int) -> list[dict]:
    network = InceptionV3(weights=next((assets / "weights").glob("inception_v3*.h5")), layer="mixed8")
    clean = extract(assets / "data" / "flowers", [network], store=store)
    soiled = extract(dirty(assets / "data" / "flowers", store / "dirty"), [network], store=store)
    quiet, seen, early = ({kind: [] for kind in KINDS} for _ in range(3))
    for split in range(splits):
        rng = np.random.default_rng(split)
        order = rng.permutation(len(clean))
        model = train_model(clean.filter(order[: len(order) // 2]), features=network.name, jobs=1)
        camera = order[len(order) // 2 :]
        clear, blurred = (Camera(model, table.filter(camera)) for table in (clean, soiled))
        for kind in KINDS:
            for _ in range(months):
                quiet[kind].append(first_alarm(clear, clear, kind, rng) is not None)
                at = first_alarm(clear, blurred, kind, rng)
                seen[kind].append(at is not None and DIRTY_FROM <= at <= SEEN_BY)
                early[kind].append(at is not None and at < DIRTY_FROM)
    rows = []
    for kind in KINDS:
        n = len(quiet[kind])
        rows.append(
            figure(f"{kind}: quiet months with an alarm, of {n}", np.mean(quiet[kind]) * 100, "%", at_most=1)
        )
        rows.append(
            figure(f"{kind}: dirty lens seen within 3 days", np.mean(seen[kind]) * 100, "%", at_least=99)
        )
        rows.append(figure(f"{kind}: alarm before the dirt", np.mean(early[kind]) * 100, "%"))
    return rows


class Camera:
    """What a model says of all photos that a camera may take."""

    def __init__(self, model, table: FeatureTable):
        self.model, self.table = model, table
        found = predict_table(model, table)
        self.given, self.confidence, self.distance = np.array(found.label), found.confidence, found.distance
        self.outlier = np.array(found.outlier, dtype=bool)
        self.held_out = model.outliers.photos

    def day(self, rows: np.ndarray, date: str):
        told = self.given[rows].tolist(), self.confidence[rows], self.distance[rows]
        return describe_day(date, self.model.labels, *told, int(self.outlier[rows].sum()), len(rows))


def first_alarm(clear: Camera, later: Camera, kind: str, rng: np.random.Generator) -> int | None:
    """The day of the first alarm; from day 20 on the photos are those of the other camera."""
    label, usual = clear.table.label.astype(str), []
    names, codes = np.unique(label, return_inverse=True)
    for number in range(1, DAYS + 1):
        shares = rng.dirichlet(np.full(len(names), 8.0)) if kind == "uneven labels" else np.bincount(codes)
        weights = (shares / np.bincount(codes))[codes]
        rows = rng.choice(len(codes), A_DAY, p=weights / weights.sum())
        today = (clear if number < DIRTY_FROM else later).day(rows, str(number))
        if judge_day(today, usual, clear.held_out):
            return number
        usual.append(today)
    return None


if __name__ == "__main__":
    main()
