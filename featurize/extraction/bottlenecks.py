"""Read the bottleneck folder of retrain.py, text files with one vector each, as a table."""

import os
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from featurize.errors import SourceError, UsageError
from featurize.extractors.batches import finite_rows
from featurize.files import is_readable, name_as_text
from featurize.id_columns import ids_from_columns
from featurize.imported import imported_entry
from featurize.photos.source import NOHASH
from featurize.remote import path_here
from featurize.table import FeatureTable

# PHOTO.jpg.txt in the first version of retrain.py, PHOTO.jpg_NETWORK.txt in all others.
FILE_NAME = re.compile(r"(?P<image>.+?\.(?:jpe?g|png|gif|bmp))(?:_(?P<network>.+))?\.txt", re.IGNORECASE)
FIRST_NETWORK = "inception_v3"  # the only one that the first version had
SAMPLE = 20  # photos whose vectors are compared with those that a graph makes
# Relative: the text files hold all digits, and TensorFlow 1 added up in another order; any fault is far off.
SAME = 1e-3
LARGEST = 1 << 22  # bytes; a vector of 2,048 numbers takes about 25,000


@dataclass(frozen=True)
class Bottlenecks:
    """The table, the text files that gave no row with the reason, and other files counted by their ending."""

    table: FeatureTable
    rejects: list[tuple[str, str]]
    ignored: Counter[str]


def import_bottlenecks(
    folder: str | os.PathLike,
    features: Sequence[str] | None = None,
    *,
    graph: str | os.PathLike | None = None,
    photos: str | os.PathLike | None = None,
) -> Bottlenecks:
    """Read the vectors that retrain.py wrote into its bottleneck folder.

    Parameters
    ----------
    folder : path
        One folder per label with ``PHOTO.jpg.txt`` or ``PHOTO.jpg_NETWORK.txt``: the numbers of one photo and commas.
    features : sequence of str, optional
        The networks to take; by default all that are found. An image becomes a row if it has a vector of each.
    graph : path, optional
        The frozen graph that made the vectors, of one network. Then the features are those of this graph, as
        ``FrozenGraph(graph, parity="retrain")`` makes them, and a model on them can predict new photos.
    photos : path, optional
        With `graph`: the folder that retrain.py called image_dir. Some of its photos are compared with their vectors.

    Returns
    -------
    Bottlenecks
        The images are named ``LABEL/PHOTO.jpg``; their content is unknown (``sha256`` is null) and the fingerprint of
        the features is ``imported`` without a graph. Text before ``_nohash_`` is the group. SourceError if no file can
        be used, or the graph makes other vectors.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> folder = pathlib.Path(tempfile.mkdtemp())
    >>> (folder / "daisy").mkdir()
    >>> _ = (folder / "daisy" / "1.jpg_mobilenet_0.50_224.txt").write_text("0.5,0.25,0.0")
    >>> import_bottlenecks(folder).table
    FeatureTable: 1 rows; features mobilenet_0.50_224 (3, imported); 1 label daisy
    """
    root = path_here(folder, "bottlenecks are read from")
    is_readable(root, SourceError)
    if not root.is_dir():
        hint = "give the folder that retrain.py called bottleneck_dir"
        raise SourceError(f"there is no folder {root}", hint)
    rejects: list[tuple[str, str]] = []
    vectors: dict[str, dict[str, np.ndarray]] = {}
    ignored: Counter[str] = Counter()
    for path in sorted(root.rglob("*")):
        name = path.relative_to(root)
        match = FILE_NAME.fullmatch(path.name)
        if match is None and path.is_dir():
            if not os.access(path, os.R_OK | os.X_OK):
                rejects.append((name_as_text(str(name)), "cannot be read: Permission denied"))
            continue
        if match is None or len(name.parts) < 2:
            ignored[path.suffix.lower() or "without ending"] += 1
            continue
        network = match["network"] or FIRST_NETWORK
        if features and network not in features:
            ignored[f"vectors of {network}"] += 1
            continue
        image = name_as_text(str(name.parent / match["image"]))
        try:
            if image in vectors.get(network, {}):
                raise ValueError(f"a second vector of {network} for this image")
            vectors.setdefault(network, {})[image] = _read(path)
        except ValueError as error:
            rejects.append((name_as_text(str(name)), str(error)))
    names = list(features or sorted(vectors))
    rejects += _odd_widths(vectors)
    images = _complete(vectors, names, rejects)
    if not images:
        reason = f"; the first: {rejects[0][0]}: {rejects[0][1]}" if rejects else ""
        problem = f"no image in {root} has a vector of {' and '.join(names) or 'any network'}{reason}"
        hint = "expected LABEL/PHOTO.jpg_NETWORK.txt, each with numbers separated by commas"
        raise SourceError(problem, hint)
    table = _table(root, images, names, vectors)
    if graph is not None or photos is not None:
        table = _made_by(table, graph, photos)
    return Bottlenecks(table, sorted(rejects), ignored)


def _made_by(table: FeatureTable, graph: Any, photos: Any) -> FeatureTable:
    """The same vectors as features of a graph, which has to make them of some of the photos."""
    from featurize.extractors.base import golden_image, relative_drift
    from featurize.networks.graph_extractor import FrozenGraph

    if graph is None or photos is None:
        what = "a graph and the folder of the photos (retrain.py's image_dir) go together"
        raise UsageError(what, "give --graph FILE.pb --photos DIR, or neither")
    (name, *others), root = table.features, path_here(photos, "photos are read from")
    if others:
        what = f"there are vectors of several networks: {', '.join(table.features)}"
        raise UsageError(what, f"take those of the graph, such as --features {name}")
    files = [root / image for image in table.image]
    there = [row for row, file in enumerate(files) if file.is_file()]
    if not there:
        what = f"{root} holds none of the photos of the vectors, such as {table.image[0]}"
        raise SourceError(what, "give the folder that retrain.py called image_dir")
    extractor = FrozenGraph(graph, parity="retrain")
    for row in there[:: -(-len(there) // SAMPLE)]:
        made, read = extractor.transform([files[row]])[0], table.vectors[name][row]
        drift = relative_drift(made, read) if made.shape == read.shape else float("inf")
        if not drift <= SAME:
            far = (
                f"{100 * drift:.2g} % off" if np.isfinite(drift) else f"{len(made)} numbers, not {len(read)}"
            )
            raise SourceError(
                f"{graph} does not make the vector of {table.image[row]}: it is {far}",
                "give the graph and the photos of these vectors, or import them without: they predict tables alone",
            )
    golden = extractor.transform([golden_image()])[0]
    entry = {**extractor.record(golden), "from": table.metadata["features"][name]["description"]["from"]}
    described = {**table.metadata, "features": {extractor.name: entry}}
    return FeatureTable(table.ids, {extractor.name: table.vectors[name]}, described)


def _read(path: Path) -> np.ndarray:
    """The numbers of one file; ValueError says why not."""
    try:
        if path.is_dir():
            raise ValueError("a folder, not a file of numbers")
        if not path.is_file():  # opening a pipe would wait for ever
            raise ValueError("not a regular file" if path.exists() else "a link that leads nowhere")
        if path.stat().st_size > LARGEST:
            raise ValueError("too large for one vector")
        text = path.read_text(encoding="ascii").strip()
    except UnicodeDecodeError:
        raise ValueError("not a text of numbers") from None
    except OSError as error:
        raise ValueError(f"cannot be read: {error.strerror or error}") from None
    if not text:
        raise ValueError("the file is empty")
    parts = text.split(",")
    try:
        matrix, finite = finite_rows(np.array([[float(part) for part in parts]]))
    except ValueError:
        raise ValueError("not numbers separated by commas") from None
    if not finite.all():
        raise ValueError("numbers that are not finite, or too large for 32 bits")
    return matrix[0]


def _odd_widths(vectors: dict[str, dict[str, np.ndarray]]) -> list[tuple[str, str]]:
    """Take out the vectors that are not as wide as most of their network (a file that was cut off)."""
    rejects = []
    for network, by_image in vectors.items():
        usual = Counter(map(len, by_image.values())).most_common(1)[0][0] if by_image else 0
        for image in [image for image, vector in by_image.items() if len(vector) != usual]:
            width = len(by_image.pop(image))
            rejects.append((image, f"{width} numbers of {network}, where the others have {usual}"))
    return rejects


def _complete(
    vectors: dict[str, dict[str, np.ndarray]], names: list[str], rejects: list[tuple[str, str]]
) -> list[str]:
    """The images that have a vector of each network, sorted; the others join the rejects once."""
    images = sorted({image for name in names for image in vectors.get(name, {})})
    missing = {image: [name for name in names if image not in vectors.get(name, {})] for image in images}
    rejects += [(image, f"no vector of {', '.join(lost)}") for image, lost in missing.items() if lost]
    return [image for image in images if not missing[image]]


def _table(
    root: Path, images: list[str], names: list[str], vectors: dict[str, dict[str, np.ndarray]]
) -> FeatureTable:
    matrices = {name: np.stack([vectors[name][image] for image in images]) for name in names}
    labels = [image.split("/")[0] for image in images]
    groups = [match and match.group(1) for match in (re.search(NOHASH, image) for image in images)]
    ids = ids_from_columns({"image": images, "label": labels, "group": groups})
    origin = "retrain.py's bottleneck files"
    described = {
        name: imported_entry(
            name, [f"{name}_{i:04d}" for i in range(matrix.shape[1])], {"from": origin, "network": name}
        )
        for name, matrix in matrices.items()
    }
    source = {"path": os.fsencode(root.absolute()).decode("utf-8", "backslashreplace"), "kind": "bottlenecks"}
    return FeatureTable(ids, matrices, {"source": source, "features": described})
