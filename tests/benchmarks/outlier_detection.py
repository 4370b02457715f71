"""How well photos that are no flowers are told from held-out flowers; the figures of `classify.model.outliers`.

    python tests/benchmarks/outlier_detection.py ASSETS [--store DIR]

ASSETS holds ``data/flowers``, ``data/fire`` and ``weights`` (see README, "Develop"). Prints, for each distance, the
area under the ROC curve and the share flagged at 5 % false alarms, both as means over five folds; then what
`describe_drift` says of held-out batches of a single flower, and of the batches that are no flowers.
"""

import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
from figures import figure, parser, report
from PIL import Image
from skimage import data
from sklearn.metrics import roc_auc_score

from classify.folds import make_folds
from classify.heads.scaling import BlockScaler
from classify.model.outliers import FALSE_ALARMS, fit_outliers
from featurize import FeatureTable, InceptionV3, extract


def main(argv: list[str] | None = None) -> None:
    made = parser(__doc__)
    made.add_argument("assets", type=Path)
    made.add_argument("--store", type=Path, help="where vectors are kept (default: a temporary folder)")
    args = made.parse_args(argv)
    with tempfile.TemporaryDirectory() as folder:
        rows = detect(args.assets, args.store or Path(folder))
    report("outlier_detection", rows, args.json)


def detect(assets: Path, store: Path) -> list[dict]:
    network = InceptionV3(weights=next((assets / "weights").glob("inception_v3*.h5")), layer="mixed8")
    flowers = extract(assets / "data" / "flowers", [network], store=store)
    fire = extract(assets / "data" / "fire", [network], store=store)
    others = {
        "fire": fire.select(network.name)[fire.label == "fire"],
        "indoors": fire.select(network.name)[fire.label == "normal"],
        "textures": extract(textures(store / "textures"), [network], store=store).select(network.name),
    }
    return [
        *compare_distances(flowers, network.name, others),
        *judge_batches(flowers, network.name, others),
    ]


def textures(folder: Path) -> Path:
    """48 crops of brick, grass and gravel."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("brick", "grass", "gravel"):
        picture = getattr(data, name)()
        for y in range(0, 512, 128):
            for x in range(0, 512, 128):
                crop = Image.fromarray(picture[y : y + 128, x : x + 128])
                crop.save(folder / f"{name}-{y:03}-{x:03}.png")
    return folder


def compare_distances(flowers: FeatureTable, features: str, others: dict[str, np.ndarray]) -> list[dict]:
    X = flowers.select(features)
    found: dict[tuple[str, str], list[tuple[float, float]]] = {}
    for fold in make_folds(flowers.label, flowers.groups):
        scale = BlockScaler().fit(X[fold.training]).transform
        spaces: dict[str, tuple[Callable, int]] = {
            "fifth nearest": (scale, 5),
            "nearest": (scale, 1),
            "fifth, root and unit": (lambda V: unit(np.sqrt(V)), 5),
            "fifth, cosine": (unit, 5),
            "fifth, centred cosine": (lambda V, scale=scale: unit(scale(V)), 5),
        }
        for name, (space, k) in spaces.items():
            known = space(X[fold.training])
            inside = nearest(space(X[fold.testing]), known, k)
            for other, V in others.items():
                outside = nearest(space(V), known, k)
                truth = np.r_[np.zeros(len(inside)), np.ones(len(outside))]
                area = roc_auc_score(truth, np.r_[inside, outside])
                flagged = np.mean(outside > np.quantile(inside, 1 - FALSE_ALARMS))
                found.setdefault((name, other), []).append((area, flagged))
    rows = []
    for (name, other), both in found.items():
        area, flagged = np.mean(both, axis=0)
        rows.append(figure(f"{name} against {other}: area under the ROC curve", area, ""))
        rows.append(figure("  flagged at 5 % false alarms", 100 * flagged, "%"))
    return rows


def judge_batches(flowers: FeatureTable, features: str, others: dict[str, np.ndarray]) -> list[dict]:
    X = flowers.select(features)
    alarms, photos = 0, 0
    strange: dict[str, int] = {}
    for fold in make_folds(flowers.label, flowers.groups):
        outliers = fit_outliers(X[fold.training], [X.shape[1]], flowers.groups[fold.training])
        if outliers is None:
            raise SystemExit("too few flowers")
        held_out = outliers.distances(X[fold.testing])
        alarms, photos = alarms + int((held_out > outliers.threshold).sum()), photos + len(held_out)
        batches = {
            f"held-out {label}": X[fold.testing][flowers.label[fold.testing] == label]
            for label in sorted(set(flowers.label))
        }
        for name, V in {**batches, **others}.items():
            drifted = outliers.describe_drift(outliers.distances(V)) is not None
            strange[name] = strange.get(name, 0) + drifted
    return [
        figure("held-out flowers flagged", 100 * alarms / photos, "%", at_most=7.0),
        *(figure(f"{name}: said to be strange", count, "of 5 folds") for name, count in strange.items()),
    ]


def unit(V: np.ndarray) -> np.ndarray:
    return V / np.linalg.norm(V, axis=1, keepdims=True)


def nearest(V: np.ndarray, known: np.ndarray, k: int) -> np.ndarray:
    squares = (V**2).sum(axis=1)[:, None] + (known**2).sum(axis=1) - 2 * V @ known.T
    return np.sqrt(np.maximum(np.partition(squares, k - 1, axis=1)[:, k - 1], 0))


if __name__ == "__main__":
    main()
