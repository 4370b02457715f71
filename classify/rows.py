"""Choose the rows of a table that are used, relabel them, and warn of conflicting labels."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from featurize.errors import TableError, UsageError
from featurize.files import read_csv
from featurize.id_columns import describe_similar, similar_labels
from featurize.imported import is_imported
from featurize.table import FeatureTable
from featurize.terminal import log, printable

FEW = 5  # photos of a label, below which a word is said
NAMED = 5  # photos, and pairs of photos, that a message names
SPLITS = dict.fromkeys(("train", "compare", "curve", "split"), ("training", "validation")) | {
    "test": ("testing",)
}


@dataclass(frozen=True)
class Sample:
    """Labelled vectors, with what keeps rows together: what heads are fitted on and tried on.

    `X` has shape (n_rows, n_features). `groups` (equal integers belong together) and `variant` (0 for a photo) are None
    where every row stands alone; `widths` are those of the blocks in `X`, None for one block, and `block_weights` what
    each counts beside the others, None where all count the same.

    >>> sample = Sample(np.eye(3), np.array(["fern", "moss", "fern"]), groups=np.array([0, 1, 0]))
    >>> some = sample.rows([2, 1])
    >>> len(some), some.y.tolist(), some.groups.tolist(), some.variant
    (2, ['fern', 'moss'], [0, 1], None)
    """

    X: np.ndarray
    y: np.ndarray
    groups: np.ndarray | None = None
    variant: np.ndarray | None = None
    widths: Sequence[int] | None = None
    block_weights: Sequence[float] | None = None

    @classmethod
    def of(cls, table: FeatureTable, features: str) -> "Sample":
        """All rows of a table whose rows all have labels; vectors with gaps are refused (`select_vectors`)."""
        X = select_vectors(table, features)
        blocks = table.blocks(features), block_weights(table, features)
        return cls(X, table.label.astype(str), table.groups, table.variant, *blocks)

    def __len__(self) -> int:
        return len(self.X)

    def rows(self, index: np.ndarray | Sequence[int]) -> "Sample":
        """These rows alone, in this order; `index` are row numbers, or a mask."""
        groups = None if self.groups is None else self.groups[index]
        variant = None if self.variant is None else self.variant[index]
        return Sample(self.X[index], self.y[index], groups, variant, self.widths, self.block_weights)


def usable_rows(table: FeatureTable, purpose: str) -> FeatureTable:
    """The rows that `purpose` ("train", "compare", "curve", "split" or "test") may use; a message says which.

    Where the table has a split, training and comparing use its training and validation rows and testing uses its
    testing rows; where it has none, all use all rows. Rows without a label are left out, and for testing also the
    distorted copies. A UsageError where no row is left, or only copies, or, but for testing, fewer than two labels.
    """
    if purpose not in SPLITS:
        raise UsageError(f"rows for {purpose!r} were asked for", f"the purposes are {', '.join(SPLITS)}")
    split, label = table.split, table.label
    labelled = np.array([one is not None for one in label], dtype=bool)
    has_split = any(one is not None for one in split)
    wanted = np.isin(split.astype(str), SPLITS[purpose]) if has_split else np.ones(len(table), dtype=bool)
    if purpose == "test":
        wanted = wanted & (table.variant == 0)
    used = labelled & wanted
    kept = table if used.all() else table.filter(used)
    which = f"the {' and '.join(SPLITS[purpose])} rows" if has_split else "all rows (the table has no split)"
    if len(kept) == 0:
        raise UsageError(
            f"no row is left to {purpose}: of {len(table)} rows {labelled.sum()} have a label, "
            f"{wanted.sum()} are among {which}",
            "extract from a folder of class folders, or set the split with `evaluate split`",
        )
    if not (kept.variant == 0).any():
        hint = "keep the rows of variant 0 too"
        raise UsageError(f"the {len(kept)} rows to {purpose} are distorted copies, without one photo", hint)
    without = int((wanted & ~labelled).sum())
    left_out = f"; {without} without a label left out" * (without > 0)
    n_photos, labels = int((kept.variant == 0).sum()), sorted(set(kept.label))
    n_distorted = len(kept) - n_photos
    counts = f"{n_photos} photo{'s' * (n_photos != 1)}" + f" and {n_distorted} distorted copies" * (
        n_distorted > 0
    )
    n_labels = f"{len(labels)} label{'s' * (len(labels) != 1)}"
    log.info("%s uses %s: %s, %s%s", purpose, which, counts, n_labels, left_out)
    if purpose != "test" and len(labels) < 2:
        what = f"all {len(kept)} usable rows have the label {labels[0]}: there is nothing to tell apart"
        hint = f"{purpose} needs two labels or more, for example two class folders with photos"
        raise UsageError(what, hint)
    return kept


def select_vectors(table: FeatureTable, features: str) -> np.ndarray:
    """``table.select(features)`` for a head, which can do nothing with gaps: a TableError names the first image."""
    for part in table.parts(features):
        # Rows sum to a number unless one of theirs is none; float64 cannot overflow on float32.
        with np.errstate(invalid="ignore"):
            bad = np.flatnonzero(~np.isfinite(table.vectors[part].sum(axis=1, dtype=np.float64)))
        if len(bad):
            more = f", and of {len(bad) - 1} more" if len(bad) > 1 else ""
            what = f"the features {part} of {table.image[bad[0]]}{more} hold NaN or infinity, which no head can take"
            raise TableError(what, "extract them again, or leave these rows out")
    return table.select(features)


def conflicting_images(table: FeatureTable) -> list[tuple[tuple[str, str], ...]]:
    """Byte-identical images that carry different labels: one tuple of (image, label) per content, sorted by image."""
    by_content: dict[str, set[tuple[str, str]]] = {}
    for sha256, image, label in zip(table.sha256, table.image, table.label, strict=True):
        if sha256 is not None and label is not None:
            by_content.setdefault(sha256, set()).add((image, label))
    several = [found for found in by_content.values() if len({label for _, label in found}) > 1]
    return sorted(tuple(sorted(found)) for found in several)


def warn_of_conflicts(table: FeatureTable) -> None:
    """Log the images that carry different labels, and the labels that may be one, the first few by name."""
    conflicts = conflicting_images(table)
    for images in conflicts[:NAMED]:
        named = ", ".join(f"{printable(image)} ({printable(label)})" for image, label in images[:NAMED])
        more = f" and {len(images) - NAMED} more" if len(images) > NAMED else ""
        log.warning("the same photo carries different labels: %s%s; at least one label is wrong", named, more)
    if len(conflicts) > NAMED:
        log.warning("%d more photos carry different labels", len(conflicts) - NAMED)
    for labels in similar_labels(table.label)[:NAMED]:
        alike = describe_similar(labels)
        log.warning(
            "labels that differ in blanks, case or Unicode form alone: %s; --relabel makes them one", alike
        )


def warn_of_few(table: FeatureTable) -> None:
    """Log the labels of fewer than `FEW` photos, of which a head learns next to nothing."""
    counts = Counter(table.label[table.variant == 0].tolist())
    few = sorted((number, label) for label, number in counts.items() if number < FEW)
    if few:
        named = ", ".join(f"{printable(label)} ({number})" for number, label in few[:NAMED])
        more = f" and {len(few) - NAMED} more" if len(few) > NAMED else ""
        log.warning("labels of fewer than %d photos, too few to learn or test them: %s%s", FEW, named, more)


def check_table(given: object) -> None:
    """UsageError for what is no table, such as its path."""
    if not isinstance(given, FeatureTable):
        what = repr(str(given)) if isinstance(given, str | Path) else f"a {type(given).__name__}"
        hint = "give a FeatureTable: FeatureTable.read(path), FeatureTable.from_frame(frame, …) or what extract returns"
        raise UsageError(f"{what} was given for a table", hint)


def relabelled(table: FeatureTable, relabel: Mapping[str, str | None] | None) -> FeatureTable:
    """``table.relabel(relabel)``, or the table where there is nothing to change; names that fit no label are told."""
    check_table(table)
    if relabel is None:
        return table
    labels = {label for label in table.label if label is not None}
    astray = sorted(set(relabel) - labels)
    if astray:
        named, known = ", ".join(map(repr, astray)), ", ".join(sorted(labels))
        log.warning("the relabelling names %s; the labels of the table are %s", named, known)
    return table.relabel(relabel)


def read_relabel(path: str | Path) -> dict[str, str]:
    """The new label by label, from a CSV file with the columns ``label,new_label``; an empty one drops the class."""
    mapping: dict[str, str] = {}
    for number, line in read_csv(
        path, ("label", "new_label"), "relabelling", key=lambda line: (line["label"],)
    ):
        label, new = line["label"], line["new_label"]  # outer spaces count: a folder may be called "daisy "
        if not label:
            hint = "each line holds a label and its new one, or nothing"
            raise UsageError(f"line {number} of {path} names no label", hint)
        mapping[label] = new if new.strip() else ""
    if not any(mapping.values()):
        raise UsageError(f"the relabelling {path} keeps no class", "give a new_label for two labels or more")
    return mapping


BORDER = "border"  # the region of extractors that see no more of a photo
NUISANCE = "nuisance"  # camera, file, border: there to be checked, not to be learnt
BESIDE = 256 * 2**20  # bytes of vectors; of more, two copies at once would cost more than they save


def all_features(table: FeatureTable) -> str:
    """Every features column of the table, joined with ``+``; more than one is logged."""
    check_table(table)
    if not table.features:
        raise TableError("the table has no features", "make them with `featurize extract --features …`")
    wanted = default_features(table)
    features = "+".join(wanted)
    if len(wanted) > 1:
        weights = part_weights(wanted, table.metadata["features"])
        lighter = ", ".join([name for name, weight in zip(wanted, weights, strict=True) if weight != 1])
        counted = f"; beside a network the weight of {lighter} is {BY_HAND_WEIGHT:g}" if lighter else ""
        log.info("training on all features of the table together: %s%s", features, counted)
    left_out = [name for name in table.features if name not in wanted]
    if left_out:
        why = "which no head should learn from; name it among the features to use it"
        log.info("leaving out %s, %s", ", ".join(left_out), why)
    return features


def default_features(table: FeatureTable) -> list[str]:
    """The features columns that are meant where none is named: all but the controls, unless there are only such."""
    return [name for name in table.features if not is_control(table, name)] or table.features


def is_control(table: FeatureTable, name: str) -> bool:
    """Whether a column is there to be checked, not to be learnt: ``nuisance``, and what sees the border alone."""
    params = table.metadata["features"].get(name, {}).get("params") or {}
    return name == NUISANCE or params.get("region") == BORDER


# Families of numbers that somebody thought of. By their width alone they would count nearly as much as the network
# beside them: so 1,457 values of texture cost Inception 2 points on flowers, and with the weight nothing.
BY_HAND = frozenset({"color", "glcm", "lbp", "nuisance", "shape", "texture"})
BY_HAND_WEIGHT = 0.25


def part_weights(parts: Sequence[str], described: Mapping[str, Mapping[str, Any]]) -> list[float]:
    """What each features column counts beside the others: 0.25 what is described by hand beside a network, else 1.

    >>> part_weights(["net", "texture"], {"net": {"weights": {"sha256": "0"}}, "texture": {"family": "texture"}})
    [1.0, 0.25]
    """
    entries = [described.get(part) or {} for part in parts]
    beside_network = any(entry.get("weights") or is_imported(entry) for entry in entries)
    by_hand = [beside_network and entry.get("family") in BY_HAND for entry in entries]
    return [BY_HAND_WEIGHT if one else 1.0 for one in by_hand]


def block_weights(table: FeatureTable, features: str) -> list[float] | None:
    """What each of ``table.blocks(features)`` counts, for `BlockScaler`; None where all count the same."""
    parts, described = table.parts(features), table.metadata["features"]
    weights: list[float] = []
    for part, weight in zip(parts, part_weights(parts, described), strict=True):
        weights += [weight] * len(table.blocks(part))
    return None if set(weights) == {1.0} else weights
