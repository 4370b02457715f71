"""Which rows are set aside for testing and validation: stable by name, or stratified, or whole groups."""

import hashlib
import re
from collections.abc import Sequence

import numpy as np

from classify.folds import group_keys
from featurize.draws import random_bits
from featurize.errors import UsageError
from featurize.files import text_as_name
from featurize.table import FeatureTable

METHODS = ("stratified", "hash", "group")
NAMES = ("image", "file", "path")
SIDES = ("training", "validation", "testing")
MAX_NUM_IMAGES_PER_CLASS = 2**27 - 1  # retrain.py's constant: about 134 million


def split_table(
    table: FeatureTable,
    method: str = "stratified",
    testing_percentage: float = 10,
    validation_percentage: float = 10,
    seed: int = 0,
    *,
    name: str = "image",
    folder: str | None = None,
    keep_together: bool = False,
) -> FeatureTable:
    """The table with its ``split`` column filled: ``training``, ``validation`` or ``testing``.

    Parameters
    ----------
    table : FeatureTable
        Rows without a label stay without a split, except with ``"hash"``, which asks for none.
    method : str
        ``"stratified"``: the asked number of images of every label, as closely as groups allow. ``"group"``: the asked
        share of all groups, whatever their labels. ``"hash"``: by the name alone, as retrain.py did, so that an image
        never changes side as the set grows; counts are then only about right, and images that belong together are
        separated unless their names say so (``leaf7_nohash_1.jpg``) or `keep_together` is set.
    testing_percentage, validation_percentage : float
        The shares of the images, 0 to less than 100 together.
    seed : int
        Start of the shuffling, which goes by the content of the photos; ``"hash"`` has none.
    name : str
        What ``"hash"`` takes for the name: ``"image"``, the table's own (``roses/1.jpg``); ``"path"``, that name behind
        `folder` as it was typed (``flower_photos/roses/1.jpg``), as retrain.py itself did; ``"file"``, the bare file
        name (``1.jpg``), as its descendants do.
    folder : str, optional
        For ``name="path"``.
    keep_together : bool
        With ``"hash"``, images that belong together go to one side all the same: to training if any of them is hashed
        there, else to validation if any is. The other methods keep them together anyway.

    Returns
    -------
    FeatureTable

    Raises
    ------
    UsageError
        If the method, the percentages or the name are not accepted, no row has a label, or a side would be empty.

    Examples
    --------
    >>> table = FeatureTable.from_arrays({"x": [[0.0]] * 20}, label=["cat"] * 10 + ["dog"] * 10)
    >>> split = split_table(table).split
    >>> [sorted(split[:10].tolist()).count(side) for side in ("training", "validation", "testing")]
    [8, 1, 1]
    """
    shares = _checked(method, testing_percentage, validation_percentage)
    if method == "hash":
        names = _hashed_names(table.image, name, folder)
        hashed = [hash_split(one, testing_percentage, validation_percentage) for one in names]
        return _hashed(table, hashed, shares, keep_together)
    if keep_together or name != "image" or folder is not None:
        raise UsageError(
            f"the method {method} has no use for a name or for keeping together",
            "leave them out: it does not look at names, and never parts images that belong together",
        )
    labelled = np.array([label is not None for label in table.label], dtype=bool)
    if not labelled.any():
        raise UsageError(
            "no row of the table has a label",
            "extract from a folder of class folders, or use `--method hash`, which asks for none",
        )
    groups, photos = table.groups, np.flatnonzero(labelled & (table.variant == 0))
    if len(photos) == 0:
        raise UsageError(
            f"the {len(table)} rows of the table are distorted copies; there is no photo with a label to divide",
            "keep the rows of variant 0 too",
        )
    divide = _stratified if method == "stratified" else _by_group
    members, numbers = np.unique(groups[photos], return_inverse=True)
    place = random_bits(group_keys(numbers, table.content[photos].tolist()), "split", seed)
    order = dict(zip(members.tolist(), place.tolist(), strict=True))
    side_of = divide(table.label[photos].astype(str), groups[photos], shares, order)
    sides = [
        side_of.get(int(group)) if known else None for group, known in zip(groups, labelled, strict=True)
    ]
    return table.with_column("split", sides)


def hash_split(image: str, testing_percentage: float, validation_percentage: float) -> str:
    """The side of one image by its name, exactly as TensorFlow's retrain.py assigned it.

    From the name everything from ``_nohash_`` on is removed, so photos that share the text before it share the side.
    """
    name = re.sub(r"_nohash_.*$", "", image, flags=re.DOTALL)
    digest = hashlib.sha1(name.encode("utf-8", "surrogateescape"), usedforsecurity=False).hexdigest()
    percentage = int(digest, 16) % (MAX_NUM_IMAGES_PER_CLASS + 1) * (100.0 / MAX_NUM_IMAGES_PER_CLASS)
    if percentage < validation_percentage:
        return "validation"
    if percentage < testing_percentage + validation_percentage:
        return "testing"
    return "training"


def _hashed_names(images: Sequence[str] | np.ndarray, name: str, folder: str | None) -> list[str]:
    if name not in NAMES or (name == "path") != (folder is not None):
        raise UsageError(
            f"the name {name!r} was asked for, "
            + ("without a folder" if folder is None else f"with {folder!r}"),
            f"the names are {', '.join(NAMES)}; path, and only path, needs the folder as it was typed",
        )
    found = [text_as_name(str(image)) for image in images]
    if name == "file":
        return [one.rpartition("/")[2] for one in found]
    return [f"{folder.rstrip('/')}/{one}" for one in found] if folder is not None else found


def _hashed(
    table: FeatureTable, hashed: list[str], shares: dict[str, float], keep_together: bool
) -> FeatureTable:
    if keep_together:
        rank = np.array([SIDES.index(side) for side in hashed], dtype=np.int64)
        first = np.full(int(table.groups.max(initial=-1)) + 1, len(SIDES))
        np.minimum.at(first, table.groups, rank)
        hashed = [SIDES[place] for place in first[table.groups]]
    photos = np.array(hashed, dtype=object)[table.variant == 0].tolist()
    counts = {side: photos.count(side) for side in SIDES if side == "training" or shares[side] > 0}
    if not all(counts.values()):
        found = ", ".join(f"{count} for {side}" for side, count in counts.items())
        raise UsageError(
            f"hashing divides {len(photos)} photos into {found}",
            "add photos, ask for other percentages, or use the method stratified, which leaves no side empty",
        )
    return table.with_column("split", hashed)


def crossing_images(table: FeatureTable) -> int:
    """How many images have one on another side that belongs together with them; not variants, nor images on no side."""
    placed = (table.variant == 0) & np.array([side is not None for side in table.split], dtype=bool)
    groups = np.unique(table.groups[placed], return_inverse=True)[1]
    if len(groups) == 0:
        return 0
    sides = np.unique(table.split[placed].astype(str), return_inverse=True)[1]
    pairs = np.unique(np.stack([groups, sides]), axis=1)
    return int((np.bincount(pairs[0])[groups] > 1).sum())


def _checked(method: str, testing: float, validation: float) -> dict[str, float]:
    if method not in METHODS:
        raise UsageError(f"no split method is called {method!r}", f"the methods are {', '.join(METHODS)}")
    if not (testing >= 0 and validation >= 0 and 0 < testing + validation < 100):
        raise UsageError(
            f"{testing:g} % testing and {validation:g} % validation leave nothing to divide",
            "give percentages from 0 that together are more than 0 and less than 100; each is 10 unless given",
        )
    return {"testing": testing / 100, "validation": validation / 100}


def _stratified(
    label: np.ndarray, groups: np.ndarray, shares: dict[str, float], order: dict[int, int]
) -> dict[int, str]:
    """The side of each group, label by label; a group of several labels counts for its commonest one.

    `order` holds for each group a number that was drawn.
    """
    groups_of, sizes, home = _per_group(label, groups)
    sides: dict[int, str] = {}
    for name in np.unique(home):
        own = sorted(np.flatnonzero(home == name).tolist(), key=lambda group: order[int(groups_of[group])])
        n_images = int(sizes[own].sum())
        wanted = {side: max(1, int(share * n_images + 0.5)) for side, share in shares.items() if share > 0}
        if len(own) <= len(wanted) or sum(wanted.values()) >= n_images:
            raise _too_few(f"{name} has {_count(n_images, 'image')} in {_count(len(own), 'group')}", wanted)
        side_of = _deal({int(group): int(sizes[group]) for group in own}, wanted)
        sides |= {int(groups_of[group]): side for group, side in side_of.items()}
    return sides


def _per_group(label: np.ndarray, groups: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Every group, the number of its images, and its commonest label."""
    names, codes = np.unique(groups, return_inverse=True)
    labels, label_codes = np.unique(label, return_inverse=True)
    counts = np.zeros((len(names), len(labels)), dtype=np.int64)
    np.add.at(counts, (codes, label_codes), 1)
    return names, counts.sum(axis=1), labels[counts.argmax(axis=1)]


def _deal(sizes: dict[int, int], wanted: dict[str, int]) -> dict[int, str]:
    """Groups in the order given go where they still fit, the rest to training; no side stays empty."""
    left, side_of = dict(wanted), {}
    for group, size in sizes.items():
        side = next((side for side, room in left.items() if size <= room), "training")
        side_of[group] = side
        if side != "training":
            left[side] -= size
    for side in wanted:
        if side not in side_of.values():
            # Every group left is larger than the room: the smallest that leaves its side not empty comes nearest.
            placed = list(side_of.values())
            spare = [group for group, place in side_of.items() if placed.count(place) > 1]
            side_of[min(spare, key=lambda group: sizes[group])] = side
    return side_of


def _by_group(
    label: np.ndarray, groups: np.ndarray, shares: dict[str, float], order: dict[int, int]
) -> dict[int, str]:
    """The side of each group, by the number of groups."""
    names = sorted(set(groups.tolist()), key=order.__getitem__)
    wanted = {side: max(1, int(share * len(names) + 0.5)) for side, share in shares.items() if share > 0}
    if sum(wanted.values()) >= len(names):
        raise _too_few(f"the table has {_count(len(names), 'group')}", wanted)
    sides = [side for side, count in wanted.items() for _ in range(count)]
    sides += ["training"] * (len(names) - len(sides))
    side_of = {int(name): side for name, side in zip(names, sides, strict=True)}
    training = np.array([side_of[int(group)] == "training" for group in groups])
    lost = sorted(set(label.tolist()) - set(label[training].tolist()))
    if lost:
        raise UsageError(
            f"training would have no image of {', '.join(lost)}: all its groups fell to the other sides",
            "use another --seed, smaller percentages, or the method stratified",
        )
    return side_of


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'s' * (number != 1)}"


def _too_few(what: str, wanted: dict[str, int]) -> UsageError:
    asked = " and ".join(f"{count} for {side}" for side, count in wanted.items())
    return UsageError(
        f"{what}; {asked} would leave none for training", "add photos, or ask for smaller percentages"
    )
