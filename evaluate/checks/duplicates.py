"""Photos that are the same picture twice: which they are, whether their labels agree, and how to keep them together."""

from collections.abc import Sequence

import numpy as np

from classify.rows import is_control
from classify.similar import (
    EXACT_UP_TO,
    HASH_THRESHOLD,
    LEAST_WIDTH,
    MOST_TYPICAL,
    check_threshold,
    hashes_as_signs,
    is_network,
    network_threshold,
    similar_pairs,
    tells_apart,
    typical_similarity,
)
from evaluate.report.html import Reported
from evaluate.results import DuplicatePair, DuplicatesRecord
from featurize.errors import UsageError
from featurize.id_columns import PHASH
from featurize.table import FeatureTable
from featurize.terminal import log


class Duplicates(Reported, DuplicatesRecord):
    """What `find_duplicates` found; print it, or write it with `to_dict` and `to_html`.

    Attributes
    ----------
    pairs : list of DuplicatePair
        ``image, label, other, other_label, similarity, identical`` (the same bytes) and ``conflict`` (both
        labels known, and different); pairs in conflict first, then the most similar.
    rows : array of shape (n_pairs, 2), int64
        The same pairs as rows of the table.
    features : str or None
        Whose vectors were compared, or ``phash``; None if bytes alone were.
    threshold : float or None
        The cosine similarity, or share of equal bits of ``phash``, that a pair reaches unless its bytes are the same.
    exact : bool
        Whether every pair was compared; see `similar_pairs` for what is done otherwise.
    images : int
        How many photos were compared.
    counts : DuplicateCounts
    """


def find_duplicates(
    table: FeatureTable, features: str | None = None, threshold: float | None = None
) -> Duplicates:
    """The pairs of photos that are byte-identical, or that look almost the same.

    Parameters
    ----------
    table : FeatureTable
        Distorted copies (variants) are left out.
    features : str, optional
        Whose vectors to compare by cosine similarity, or ``phash`` for perceptual hashes by the share of equal bits. By
        default the widest column of a trained network (64 numbers or more, and a typical similarity of two photos of at
        most 0.9); texture and colour do not tell copies from photos that are merely alike. Where there is none, the
        column ``phash``; where that is unknown too, bytes alone are compared, and a warning says so.
    threshold : float, optional
        From which similarity a pair counts as the same picture. By default 54 of 64 bits of a perceptual hash; of a
        network whose vectors are described, and 20 photos or more, 1 - (1 - typical similarity) / 7 (see
        `network_threshold`); else 0.97. ``evaluate/README.md`` says what these find: inspect the pairs.

    Returns
    -------
    Duplicates

    Raises
    ------
    UsageError
        If the table has no such features; if the threshold is out of range, or more than a million pairs reach it.

    Examples
    --------
    >>> table = FeatureTable.from_arrays({"x": [[1, 0], [0, 1], [2, 0.1]]}, label=["cat", "dog", "dog"])
    >>> found = find_duplicates(table, "x")
    >>> [(pair.image, pair.other, pair.conflict) for pair in found.pairs]
    [('image-0', 'image-2', True)]
    """
    if threshold is not None:
        check_threshold(threshold)
    name = features if features is not None else compared_features(table)
    photos = np.flatnonzero(table.variant == 0)
    similarity: dict[tuple[int, int], float] = {}
    if name is None:
        widths = [
            f"{one} with {X.shape[1]} and {typical_similarity(X):.2f}" for one, X in table.vectors.items()
        ]
        log.warning(
            "byte-identical photos alone are looked for: no features of the table tell photos apart, which takes a "
            "trained network, %d numbers and a typical similarity of at most %g (it has %s), and it has no perceptual "
            "hashes (column phash); `featurize extract --features inception_v3` writes both",
            LEAST_WIDTH, MOST_TYPICAL, ", ".join(widths) or "none",
        )  # fmt: skip
    elif name == PHASH:
        threshold = HASH_THRESHOLD if threshold is None else threshold
        near, alike = _similar_hashes(table.phash[photos], threshold)
        similarity |= zip(map(tuple, near.tolist()), alike.tolist(), strict=True)
    else:
        X = table.select(name)[photos]
        described = [table.metadata["features"].get(part) for part in table.parts(name)]
        threshold = network_threshold(X, described) if threshold is None else threshold
        near, cosine = similar_pairs(X, threshold)
        similarity |= zip(map(tuple, near.tolist()), cosine.tolist(), strict=True)
    same = _identical(table.sha256[photos])
    # The same bytes are the same photo, whatever is left of a sum in float32.
    similarity |= dict.fromkeys(same, 1.0)
    image, label = table.image[photos], table.label[photos]
    pairs = [
        DuplicatePair(
            image=str(image[i]),
            label=label[i],
            other=str(image[j]),
            other_label=label[j],
            similarity=min(1.0, float(how)),
            identical=(i, j) in same,
            conflict=label[i] is not None and label[j] is not None and label[i] != label[j],
        )
        for (i, j), how in similarity.items()
    ]
    order = sorted(range(len(pairs)), key=lambda place: _rank(pairs[place]))
    rows = np.array(list(similarity), dtype=np.int64).reshape(-1, 2)[order]
    return Duplicates(
        pairs=[pairs[place] for place in order],
        rows=photos[rows] if len(rows) else rows,
        features=name,
        threshold=float(threshold) if name and threshold is not None else None,
        exact=not name or len(photos) <= EXACT_UP_TO,
        images=len(photos),
        table=table,
    )


def compared_features(table: FeatureTable) -> str | None:
    """The widest column of a network, or of imported vectors, that can tell photos apart, else ``phash``, or None."""
    described = table.metadata["features"]
    named = [
        name
        for name, matrix in table.vectors.items()
        if not is_control(table, name) and is_network(described.get(name)) and tells_apart(matrix)
    ]
    known = PHASH if any(one is not None for one in table.phash) else None
    return max(named, key=lambda name: table.vectors[name].shape[1], default=known)


def _similar_hashes(phash: np.ndarray, threshold: float) -> tuple[np.ndarray, np.ndarray]:
    """The pairs of rows with that share of equal bits or more, and their shares."""
    n_unknown = sum(one is None for one in phash)
    if n_unknown == len(phash):
        hint = "make the table again with `featurize extract`, which writes them, or compare other features"
        raise UsageError("the table has no perceptual hashes (column phash)", hint)
    if not 0.5 < threshold <= 1:
        hint = "give the share of equal bits, above 0.5 and at most 1, for example 0.84"
        raise UsageError(f"a threshold of {threshold:g} was asked for", hint)
    if n_unknown:
        log.info("%d photos have no perceptual hash; of them bytes alone are compared", n_unknown)
    near, cosine = similar_pairs(hashes_as_signs(phash), 2 * threshold - 1)
    return near, (1 + cosine) / 2


def group_duplicates(table: FeatureTable, rows: np.ndarray) -> FeatureTable:
    """The table with each of these pairs of rows in one group, and whatever either belonged with.

    Parameters
    ----------
    table : FeatureTable
    rows : array of shape (n_pairs, 2), int64
        From `Duplicates.rows`. Chains hold together, as the first and the last photo of a burst.

    Returns
    -------
    FeatureTable
        Its ``group`` column filled where a pair asks for it: the given group of one of its photos, or else
        ``near`` and the name of the first one.

    Examples
    --------
    >>> table = FeatureTable.from_arrays({"x": [[0.0]] * 4}, group=[None, "leaf 7", None, None])
    >>> group_duplicates(table, np.array([[0, 1], [2, 3]])).group.tolist()
    ['leaf 7', 'leaf 7', 'near image-2', 'near image-2']
    """
    codes, group = table.groups, table.group
    joined = _components(len(table), codes, rows)
    touched = np.isin(joined, joined[np.asarray(rows, dtype=np.int64).ravel()])
    names: dict[int, str] = {}
    for code, given in zip(joined, group, strict=True):
        if given is not None:
            names.setdefault(code, given)
    taken = set(group)
    for row in np.flatnonzero(touched):
        if joined[row] not in names:
            name = f"near {table.image[row]}"
            while name in taken:
                name = f"near {name}"
            taken.add(name)
            names[joined[row]] = name
    filled = [
        names[code] if near else given for code, near, given in zip(joined, touched, group, strict=True)
    ]
    return table.with_column("group", filled)


def _components(n_rows: int, groups: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Groups of rows when the pairs are tied on top of the groups that exist."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    one, other = groups[rows[:, 0]], groups[rows[:, 1]]
    n_groups = int(groups.max()) + 1 if n_rows else 0
    graph = coo_array((np.ones(len(one), dtype=bool), (one, other)), shape=(n_groups, n_groups))
    return connected_components(graph, directed=False)[1][groups] if n_rows else groups


def _identical(sha256: Sequence[str | None] | np.ndarray) -> set[tuple[int, int]]:
    """Every pair of rows with the same bytes."""
    places: dict[str, list[int]] = {}
    for row, sha in enumerate(sha256):
        if sha is not None:
            places.setdefault(sha, []).append(row)
    return {(i, j) for rows in places.values() for n, i in enumerate(rows) for j in rows[n + 1 :]}


def _rank(pair: DuplicatePair) -> tuple[bool, bool, float, str, str]:
    """Pairs in conflict first, then byte-identical ones, then the most similar."""
    return not pair.conflict, not pair.identical, -pair.similarity, pair.image, pair.other
