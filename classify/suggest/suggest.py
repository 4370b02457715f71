"""What to label next: the photos whose labels would teach a model most, in order, as CSV and as a page to label on."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from classify.model.model import Model
from classify.prediction.predictions import predict_table
from classify.similar import (
    BITS,
    HASH_THRESHOLD,
    hashes_as_signs,
    is_network,
    network_threshold,
    normalise_rows,
    tells_apart,
)
from featurize.draws import content_keys, random_bits
from featurize.errors import UsageError
from featurize.files import csv_writer
from featurize.outputs import CSV, whole_file
from featurize.pages import Thumbnails, page_templates, render_page
from featurize.table import FeatureTable
from featurize.terminal import log

STRATEGIES = ("both", "uncertain", "diverse")
TIMES = 10  # so many candidates for each suggestion are clustered, the least certain
KEPT, LEAST_KEPT = 20, 600  # for each suggestion so many rows are kept: some are near-duplicates of others
DRAWN = 4000  # photos that are clustered where nothing but difference counts
MOST_OUTLIERS = 10
HEADER = ("image", "sha256", "order", "answer", "confidence", "second", "second_confidence", "reason")


@dataclass(frozen=True)
class Suggestion:
    """A photo to label: what the model says of it, and why it is suggested; `order` is None for an outlier."""

    image: str
    sha256: str | None
    order: int | None
    answer: str
    confidence: float
    second: str
    second_confidence: float
    reason: str


@dataclass(frozen=True)
class Suggestions:
    """The photos to label, first those in order, then the outliers; `table` holds their rows."""

    photos: list[Suggestion]
    labels: list[str]
    table: FeatureTable
    candidates: int
    left_out: int  # near-duplicates and further photos of a group among those looked at

    @property
    def ordered(self) -> list[Suggestion]:
        """Without the outliers."""
        return [one for one in self.photos if one.order is not None]

    @property
    def outliers(self) -> list[Suggestion]:
        """The photos apart, the farthest from the training first."""
        return [one for one in self.photos if one.order is None]


def suggest_photos(
    model: Model,
    tables: FeatureTable | Iterable[FeatureTable],
    n: int = 50,
    *,
    strategy: str = "both",
    seed: int = 0,
) -> Suggestions:
    """The `n` photos to label next.

    Parameters
    ----------
    model : Model
    tables : FeatureTable, or several with the same features
        Suggested are photos without a label; where all have one, those that the model was not trained on, by content.
    n : int
    strategy : {"both", "uncertain", "diverse"}
        ``uncertain`` takes the photos with the smallest margin between the two most probable labels (or nearest to the
        model's threshold). ``diverse`` divides 4,000 photos into `n` clusters by k-means and takes the one nearest to
        each centre. ``both`` does that with the ``10 n`` least certain photos, of which the less certain count more
        [1]_. ``tests/benchmarks/suggest.py`` compares them with others.
    seed : int

    Returns
    -------
    Suggestions
        The least certain first. Of near-duplicates, of the photos of a group and of equal bytes there is one. Photos
        like nothing in the training come apart, at most ten, unless most of the candidates are such.

    Notes
    -----
    Memory is that of the largest of `tables` and of ``20 n`` rows (at least 600) four times, of 4,000 rows for
    ``diverse``.

    .. [1] F. Zhdanov, "Diverse mini-batch active learning", 2019, https://arxiv.org/abs/1901.05954

    Examples
    --------
    >>> from classify import train_model
    >>> x = np.linspace(0, 1, 60)[:, None]
    >>> model = train_model(FeatureTable.from_arrays({"x": x}, label=["cat"] * 30 + ["dog"] * 30))
    >>> new = FeatureTable.from_arrays({"x": [[0.1], [0.5], [0.9]]}, image=["a.jpg", "b.jpg", "c.jpg"])
    >>> suggest_photos(model, new, 1, strategy="uncertain").photos[0].image
    'b.jpg'
    """
    if strategy not in STRATEGIES:
        raise UsageError(f"there is no strategy {strategy!r}", f"the strategies are {', '.join(STRATEGIES)}")
    if n < 1:
        raise UsageError(f"{n} photos were asked for", "ask for 1 or more")
    most = DRAWN if strategy == "diverse" else max(LEAST_KEPT, KEPT * n)
    # By whether a photo has no label, and whether it is an outlier.
    pools = {(new, strange): _Pool(max(most, n)) for new in (True, False) for strange in (True, False)}
    look = None
    for table in [tables] if isinstance(tables, FeatureTable) else tables:
        table = model.check_table(table).filter(table.variant == 0)
        if not len(table):
            continue
        found = predict_table(model, table)
        look = _look_of(model, table) if look is None else look
        new = np.array([label is None for label in table.label], dtype=bool)
        usable = new | ~model.seen(table.sha256)
        strange = np.array([bool(one) for one in found.outlier], dtype=bool)
        key = _margins(model, found.probabilities)
        if strategy == "diverse":
            key = random_bits(content_keys(table.content), "suggest", seed).astype(np.float64)
        for (unlabelled, outlying), pool in pools.items():
            rows = np.flatnonzero(usable & (new == unlabelled) & (strange == outlying))
            pool.add(table, found.probabilities, found.distance, key, rows)
    some_new = pools[True, True].total + pools[True, False].total > 0
    usual, apart = pools[some_new, False], pools[some_new, True]
    n_candidates = usual.total + apart.total
    if not n_candidates:
        what = "there is no photo to suggest: all have labels, and the model was trained on them"
        raise UsageError(what, "give photos that the model was not trained on")
    if not some_new:
        log.info("all photos have labels; suggested are those that the model was not trained on")
    if mixed := apart.total > usual.total:
        strange_ones = (
            "%d of %d photos look like nothing that the model was trained on; they stand among the others"
        )
        log.warning(strange_ones, apart.total, n_candidates)
        usual.take(apart)
    chosen, reasons, left_out = _choose(model, usual, n, strategy, look or ("", 1), seed)
    photos = _as_suggestions(model, usual, chosen, reasons, strategy)
    table = usual.table(chosen)
    if not mixed and apart.total:
        farthest = np.argsort(-apart.distance, kind="stable")[:MOST_OUTLIERS]
        why = ["looks like nothing in the training"] * len(farthest)
        photos += _as_suggestions(model, apart, farthest, why, None)
        table = _below(table, apart.table(farthest))
        log.info("%d photos look like nothing in the training; the farthest are listed apart", apart.total)
    return Suggestions(photos, model.labels, table, n_candidates, left_out)


class _Pool:
    """The rows with the smallest keys of all that were added, at most so many."""

    def __init__(self, most: int):
        self.most, self.total = most, 0
        self._rows: FeatureTable | None = None
        self.probabilities, self.distance, self.key = np.empty((0, 0)), np.empty(0), np.empty(0)

    def add(
        self,
        table: FeatureTable,
        probabilities: np.ndarray,
        distance: np.ndarray,
        key: np.ndarray,
        rows: np.ndarray,
    ) -> None:
        """Rows of a table, with what the model says of them; the smallest keys are kept, in order."""
        self.total += len(rows)
        rows = rows[np.argsort(key[rows], kind="stable")[: self.most]]
        if not len(rows):
            return
        some = table.filter(rows)
        if self._rows is None:
            self._rows, self.key = some, key[rows]
            self.probabilities, self.distance = probabilities[rows], distance[rows]
            return
        together = np.concatenate([self.key, key[rows]])
        order = np.argsort(together, kind="stable")[: self.most]
        self._rows, self.key = _below(self._rows, some).filter(order), together[order]
        self.probabilities = np.concatenate([self.probabilities, probabilities[rows]])[order]
        self.distance = np.concatenate([self.distance, distance[rows]])[order]

    def take(self, other: "_Pool") -> None:
        """The rows of another pool as well."""
        if other._rows is not None:
            total = self.total + other.total
            all_rows = np.arange(len(other._rows))
            self.add(other._rows, other.probabilities, other.distance, other.key, all_rows)
            self.total = total

    def table(self, rows: np.ndarray | Sequence[int] | slice = slice(None)) -> FeatureTable:
        """The rows, in the order of their keys, or some of them."""
        assert self._rows is not None
        return self._rows[rows] if isinstance(rows, slice) else self._rows.filter(np.asarray(rows, dtype=int))


def _below(table: FeatureTable, other: FeatureTable) -> FeatureTable:
    import pyarrow as pa

    ids = pa.concat_tables([table.ids, other.ids], promote_options="default")
    vectors = {name: np.concatenate([matrix, other.vectors[name]]) for name, matrix in table.vectors.items()}
    return FeatureTable(ids, vectors, table.metadata)


def _margins(model: Model, probabilities: np.ndarray) -> np.ndarray:
    """How sure the model is of each row: the gap of the two most probable labels, or that to its threshold."""
    if (point := model.operating_point) is not None:
        return np.abs(probabilities[:, model.labels.index(point.positive)] - point.threshold)
    two = np.sort(probabilities, axis=1)[:, -2:]
    return two[:, -1] - two[:, 0] if two.shape[1] > 1 else two[:, 0]


def _choose(
    model: Model, pool: _Pool, n: int, strategy: str, look: tuple[str, float], seed: int
) -> tuple[np.ndarray, list[str], int]:
    """Rows of the pool, the least certain first, each with what is to say of it beside; and how many were left out."""
    wanted = {"uncertain": n, "both": TIMES * n, "diverse": len(pool.key)}[strategy]
    table = pool.table()
    kept, left_out = _distinct(table, wanted, *look)
    if strategy == "uncertain" or len(kept) <= n:
        return kept[:n], [""] * len(kept[:n]), left_out
    margins = _margins(model, pool.probabilities)
    weights = 1 - margins[kept] if strategy == "both" else np.ones(len(kept))
    Z = _scaled(model, table.select(model.features)[kept])
    chosen, sizes = _nearest_to_centres(Z, np.maximum(weights, 1e-9), n, seed)
    chosen = kept[chosen]
    order = np.argsort(margins[chosen], kind="stable")
    which = "uncertain photos" if strategy == "both" else "photos"
    words = [f"stands for {size} {which}" if size > 1 else f"unlike other {which}" for size in sizes]
    return chosen[order], [words[place] for place in order], left_out


def _look_of(model: Model, table: FeatureTable) -> tuple[str, float]:
    """The features by which photos are near-duplicates, empty where none tell them, and from which cosine on."""
    networks = [
        part
        for part in model.parts
        if is_network(model.described.get(part)) and tells_apart(table.vectors[part])
    ]
    if not networks:
        return "", 1
    widest = max(networks, key=lambda part: table.vectors[part].shape[1])
    return widest, network_threshold(table.vectors[widest], [model.described.get(widest)])


def _distinct(table: FeatureTable, wanted: int, features: str, threshold: float) -> tuple[np.ndarray, int]:
    """The first so many rows of which no two are of one group, the same bytes, or near-duplicates."""
    looks = [(hashes_as_signs(table.phash) / BITS**0.5, 2 * HASH_THRESHOLD - 1)]
    if features:
        looks.append((normalise_rows(table.vectors[features]), threshold))
    kept: list[int] = []
    groups: set[int] = set()
    left_out = 0
    for row, group in enumerate(table.groups.tolist()):
        if len(kept) == wanted:
            break
        copy = group in groups or any(
            kept and (vectors[kept] @ vectors[row]).max() >= least - 1e-6 for vectors, least in looks
        )
        if copy:
            left_out += 1
            continue
        kept.append(row)
        groups.add(group)
    return np.array(kept, dtype=np.int64), left_out


def _scaled(model: Model, X: np.ndarray) -> np.ndarray:
    """The vectors as a head sees them."""
    if model.outliers is not None:
        return np.asarray(model.outliers.scaler.transform(np.asarray(X, dtype=np.float32)))
    from classify.heads.scaling import BlockScaler

    return np.asarray(BlockScaler(model.blocks).fit_transform(np.asarray(X, dtype=np.float32)))


def _nearest_to_centres(
    Z: np.ndarray, weights: np.ndarray, n: int, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Of `n` clusters by weighted k-means the row nearest to each centre, and how many rows each has."""
    import warnings

    from sklearn.cluster import KMeans
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1), warnings.catch_warnings():  # sums of several threads differ in their last bits
        warnings.simplefilter("ignore")  # fewer distinct rows than clusters
        found = KMeans(n, n_init=1, max_iter=100, random_state=seed).fit(Z, sample_weight=weights)
    away = ((Z - found.cluster_centers_[found.labels_]) ** 2).sum(axis=1)
    order = np.lexsort((away, found.labels_))
    _, first, sizes = np.unique(found.labels_[order], return_index=True, return_counts=True)
    return order[first], sizes


def _as_suggestions(
    model: Model, pool: _Pool, rows: np.ndarray, reasons: Sequence[str], strategy: str | None
) -> list[Suggestion]:
    table, made = pool.table(rows), []
    for place, (row, more) in enumerate(zip(rows, reasons, strict=True)):
        own = pool.probabilities[row]
        answer = int(model.decide(own[None])[0])
        others = [int(one) for one in np.argsort(-own, kind="stable") if one != answer]
        second = others[0] if others else answer
        names = model.labels[answer], model.labels[second]
        between = f"{names[0]} {100 * own[answer]:.0f} %, {names[1]} {100 * own[second]:.0f} %"
        reason = more if strategy in (None, "diverse") else "; ".join(filter(None, [between, more]))
        made.append(
            Suggestion(
                image=str(table.image[place]),
                sha256=table.sha256[place],
                order=place + 1 if strategy else None,
                answer=names[0],
                confidence=float(own[answer]),
                second=names[1],
                second_confidence=float(own[second]),
                reason=reason or "unlike other photos",
            )
        )
    return made


# -- As files ---


def write_suggestions(found: Suggestions, path: str | Path, excel: bool = False) -> None:
    """Write the photos as CSV, in order, the outliers last and without a number."""
    with whole_file(path, CSV) as partial, open(partial, "w", encoding="utf-8", newline="") as stream:
        writer = csv_writer(stream, excel)
        writer.writerow(HEADER)
        for one in found.photos:
            shares = f"{one.confidence:.6f}", f"{one.second_confidence:.6f}"
            order = "" if one.order is None else one.order
            cells = (
                one.image,
                one.sha256 or "",
                order,
                one.answer,
                shares[0],
                one.second,
                shares[1],
                one.reason,
            )
            writer.writerow(cells)


TEMPLATES = Path(__file__).parent / "page"
PAGE_PX = 480
KEYS = 9


def label_page(found: Suggestions, images: str | Path | None = None) -> str:
    """The photos as a page on which they are labelled: it loads nothing, sends nothing, and makes a CSV.

    `images` is the folder of the photos, when they are not where the table says. Labels beyond the ninth have no key.
    """
    photos = Thumbnails(found.table, images)
    script = (TEMPLATES / "label.js").read_text(encoding="utf-8")
    number = len(found.photos)
    shown = {
        "photos": [(one, photos.thumbnail(one.image, PAGE_PX)) for one in found.photos],
        "labels": found.labels,
        "keys": KEYS,
    }
    subtitle = f"{number} photo{'s' * (number != 1)} to label"
    return render_page(page_templates(TEMPLATES), "label.html", "Label photos", subtitle, script, **shown)
