"""The map: vectors laid out in the plane, so that people see which photos a network holds to be alike.

`lay_out` makes places of vectors, `map_of` a map of a comparison or a test, `content_of` what a page shows of one.
"""

import json
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from classify.rows import select_vectors
from evaluate.report.words import agree, count
from evaluate.results import ComparisonRecord, TestRecord
from featurize.draws import shuffled
from featurize.pages import SMALL_PX, Thumbnails
from featurize.table import FeatureTable

MOST = 3000  # photos
MOST_IN_REPORT = 1000
FEWEST = 10  # for t-SNE
DIMENSIONS, PERPLEXITY, STEPS = 50, 30, 500
NEIGHBOURS = 5
FEWEST_WITH_OUTLIERS = 20
# Of all thumbnails, as text: with them a page stays below 15 MB, and a report below 10.
THUMBNAIL_BYTES, THUMBNAIL_BYTES_IN_REPORT = 12_000_000, 4_000_000
LARGE_UP_TO = 400  # photos whose thumbnails are of twice the size
NO_LABEL = "no label"


@dataclass(eq=False)
class MapRecord:
    """Photos with their places in the plane, from 0 to 1: one entry per photo shown, of `total` there are.

    `predicted` is a label where something predicted it; `wrong` where that is not the photo's own. `pairs` are
    near-duplicates, as numbers of photos. `by` says what predicted, and is empty where nothing did.
    `title` and `author` head the page, where they are given.
    """

    features: str
    width: int
    places: np.ndarray
    image: list[str]
    label: list[str | None]
    predicted: list[str | None]
    wrong: np.ndarray
    outlier: np.ndarray
    pairs: list[tuple[int, int]]
    total: int
    method: str
    table: FeatureTable = field(repr=False)
    by: str = ""
    command: str = ""
    title: str = ""
    author: str = ""

    @property
    def labels(self) -> dict[str, int]:
        """How many photos of each label are shown; the commonest first."""
        return dict(Counter(one or NO_LABEL for one in sorted(self.label, key=str)).most_common())


def stratified_rows(label: Sequence[str | None] | np.ndarray, most: int, seed: int = 0) -> np.ndarray:
    """At most so many rows, of each label the same share and at least one while that is possible; sorted."""
    label = np.array([str(one) for one in label])
    order = shuffled(len(label), "map", seed)
    rank = np.empty(len(label))
    for name in np.unique(label):
        rows = order[label[order] == name]
        rank[rows] = np.arange(len(rows)) / len(rows)
    return np.sort(order[np.argsort(rank[order], kind="stable")[:most]])


def lay_out(X: np.ndarray, widths: Sequence[int], seed: int = 0) -> tuple[np.ndarray, np.ndarray, str]:
    """Places in the plane from 0 to 1, how far each row is from its fifth nearest, and how it was done, in words.

    Blocks of the vectors are scaled as heads scale them. Rows that are equal all over have one place.
    """
    from sklearn.decomposition import PCA
    from threadpoolctl import threadpool_limits

    from classify.heads.scaling import BlockScaler

    with threadpool_limits(1):  # several add up in another order, which moves every point
        Z = np.asarray(BlockScaler(list(widths)).fit_transform(np.asarray(X, np.float32)), np.float64)
        n = min(DIMENSIONS, *Z.shape)
        if len(Z) > 1 and np.ptp(Z, axis=0).any():
            Z = PCA(n, random_state=seed).fit_transform(Z)
        else:
            Z = np.zeros((len(Z), 2))
        Z = np.pad(Z, ((0, 0), (0, max(0, 2 - Z.shape[1]))))
        places, method = Z[:, :2], "principal components (PCA)"
        if len(Z) >= FEWEST and Z.any():
            places, method = _tsne(Z, seed), f"PCA to {n} numbers, then t-SNE"
    low, size = places.min(axis=0, initial=np.inf), float(np.ptp(places, axis=0).max(initial=0)) or 1.0
    centred = (places - low) / size
    return centred + (1 - np.ptp(centred, axis=0)) / 2, _distances(Z), method


def _tsne(Z: np.ndarray, seed: int) -> np.ndarray:
    from sklearn.manifold import TSNE

    start = 1e-4 * Z[:, :2] / Z[:, 0].std()
    how: dict[str, Any] = {"perplexity": min(PERPLEXITY, (len(Z) - 1) / 3), "init": start, "max_iter": STEPS}
    return TSNE(2, random_state=seed, n_jobs=1, learning_rate="auto", **how).fit_transform(Z)


def _distances(Z: np.ndarray) -> np.ndarray:
    from sklearn.neighbors import NearestNeighbors

    k = min(NEIGHBOURS + 1, len(Z))  # each is its own nearest
    return NearestNeighbors(n_neighbors=k).fit(Z).kneighbors(Z)[0][:, -1]


def far_out(distances: np.ndarray) -> np.ndarray:
    """Which are above the upper quartile by more than 1.5 times the distance of the quartiles (Tukey's fence)."""
    if len(distances) < FEWEST_WITH_OUTLIERS:
        return np.zeros(len(distances), dtype=bool)
    low, high = np.percentile(distances, [25, 75])
    return distances > high + 1.5 * (high - low)


def make_map(
    table: FeatureTable,
    features: str,
    rows: np.ndarray,
    *,
    most: int = MOST,
    seed: int = 0,
    predicted: Mapping[str, str] | None = None,
    by: str = "",
    pairs: Sequence[tuple[str, str]] = (),
) -> MapRecord:
    """The map of these rows of the table, or of a sample of them.

    `predicted` holds the label that was predicted, by image; `pairs` are images that are near-duplicates.
    """
    shown = rows[stratified_rows(table.label[rows], most, seed)]
    some = table.filter(shown)
    places, distances, method = lay_out(select_vectors(some, features), table.blocks(features), seed)
    image, label = [str(one) for one in some.image], list(some.label)
    said = [(predicted or {}).get(one) for one in image]
    number = {name: place for place, name in enumerate(image)}
    wrong = [one is not None and own is not None and one != own for one, own in zip(said, label, strict=True)]
    return MapRecord(
        features=features,
        width=sum(table.widths(features)),
        places=places,
        image=image,
        label=label,
        predicted=said,
        wrong=np.array(wrong, dtype=bool),
        outlier=far_out(distances),
        pairs=sorted({(number[a], number[b]) for a, b in pairs if a in number and b in number}),
        total=len(rows),
        method=method,
        table=table,
        by=by,
    )


def map_of(found: ComparisonRecord | TestRecord) -> MapRecord:
    """The map of the photos that were tested, by the features of the best pair or of the model; made once."""
    if "_map" not in vars(found):
        vars(found)["_map"] = _map_of(found)
    return vars(found)["_map"]


def _map_of(found: ComparisonRecord | TestRecord) -> MapRecord:
    if isinstance(found, ComparisonRecord):
        features, head, seed = found.results[0].features, found.results[0].head, found.seed
        wrong, near = found.best.misclassified, found.duplicates
        tested = np.unique(found.predictions.of(features, head).rows["row"].to_numpy())
    else:
        features, head, seed = found.model.features, found.model.head, 0
        wrong, near = found.details.misclassified, None
        tested = np.flatnonzero(found.table.variant == 0)
    own = zip(found.table.image[tested], found.table.label[tested], strict=True)
    predicted = dict(own) | {one.image: one.predicted for one in wrong}
    pairs = [(one.image, one.other) for one in near.pairs] if near else []
    return make_map(
        found.table,
        features,
        tested,
        most=MOST_IN_REPORT,
        seed=seed,
        predicted=predicted,
        by=f"{head} on {features}",
        pairs=pairs,
    )


# -- In words, and in a page ---


def map_in_words(found: MapRecord) -> list[str]:
    """What the map shows, what a vector is, and what distances in it do not mean."""
    n = len(found.image)
    sampled = f", a sample of {found.total} with the same share of every label" if n < found.total else ""
    sentences = [
        f"{count(n, 'photo')}{sampled}, by {found.features}: {found.method}.",
        f"A vector is the list of {found.width} numbers that {found.features} makes of a photo; photos with "
        "similar vectors lie near each other.",
    ]
    if "t-SNE" in found.method:
        sentences.append(
            "Only who is near whom means something here: how far apart two groups lie, how large or dense a "
            "group is, and the directions mean nothing."
        )
    marks = []
    if found.by:
        wrong = int(found.wrong.sum())
        marks.append(
            f"{count(wrong, 'photo')} with a ring {agree(wrong, 'is', 'are')} misclassified by {found.by}"
        )
    if outliers := int(found.outlier.sum()):
        which = f"{outliers}" if marks else count(outliers, "photo")
        marks.append(
            f"{which} with a cross {agree(outliers, 'is an outlier', 'are outliers')}, much farther from "
            "the fifth nearest photo than others"
        )
    if found.pairs:
        marks.append(
            f"{'a' if marks else 'A'} line joins each of {count(len(found.pairs), 'pair')} of near-duplicates"
        )
    return [*sentences, *([f"{'; '.join(marks)}."] if marks else [])]


def content_of(
    found: MapRecord, photos: Thumbnails, most_bytes: int, elsewhere: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """What a page shows: sentences, and the points with their thumbnails as JSON.

    A photo that the page shows `elsewhere` has the id of that element in place of a thumbnail.
    """
    from markupsafe import Markup

    thumbnails, missing, beyond = _thumbnails(found, photos, most_bytes, elsewhere or {})
    labels = list(found.labels)
    number = {name: place for place, name in enumerate(labels)}
    points = {
        "labels": labels,
        "x": np.round(found.places[:, 0], 4).tolist(),
        "y": np.round(found.places[:, 1], 4).tolist(),
        "label": [number[one or NO_LABEL] for one in found.label],
        "predicted": found.predicted,
        "wrong": np.flatnonzero(found.wrong).tolist(),
        "outlier": np.flatnonzero(found.outlier).tolist(),
        "pairs": found.pairs,
        "image": found.image,
        "thumbnails": thumbnails,
    }
    text = json.dumps(points, ensure_ascii=True, separators=(",", ":"))
    data = Markup(text.replace("&", "\\u0026").replace("<", "\\u003c"))
    sentences = map_in_words(found)
    if missing:
        which = f"{count(missing, 'photo')} {agree(missing, 'was', 'were')} not"
        if missing == len(found.image):
            which = "None of the photos was"
        sentences.append(
            f"{which} found; {agree(missing, 'its point has', 'their points have')} no thumbnail."
        )
    if beyond:
        sentences.append(
            f"{count(beyond, 'photo')} more without a thumbnail, for the page would become too large."
        )
    kinds = {
        "wrong": bool(found.wrong.any()),
        "outlier": bool(found.outlier.any()),
        "pairs": bool(found.pairs),
    }
    return {
        "sentences": sentences,
        "data": data,
        "n": len(found.image),
        "kinds": kinds,
        "features": found.features,
    }


def _thumbnails(
    found: MapRecord, photos: Thumbnails, most_bytes: int, elsewhere: Mapping[str, str]
) -> tuple[list[str | None], int, int]:
    """By photo its thumbnail; how many photos were not found, and how many were left out beyond `most_bytes`."""
    longer = 2 * SMALL_PX if len(found.image) <= LARGE_UP_TO else SMALL_PX

    def made_of(image: str) -> str | None:
        return f"#{elsewhere[image]}" if image in elsewhere else photos.thumbnail(image, longer)

    with ThreadPoolExecutor(min(4, os.cpu_count() or 1)) as pool:  # decoding waits for no other
        made = list(pool.map(made_of, found.image))
    kept: list[str | None] = [None] * len(made)
    size, beyond = 0, 0
    for place in shuffled(len(made), "thumbnails").tolist():
        one = made[place]
        if one is not None and size + len(one) <= most_bytes:
            kept[place], size = one, size + len(one)
        else:
            beyond += one is not None
    return kept, sum(one is None for one in made), beyond
