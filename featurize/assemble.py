"""Rows and vectors become a table that says how it was made."""

import json
import os
from typing import Any

import numpy as np
import pyarrow as pa

from featurize.arrow import numbers_to_arrow, text_to_arrow
from featurize.extractors.base import Extractor
from featurize.photos.distort import Distortion
from featurize.photos.fileindex import Content
from featurize.photos.source import Source, SourceImage
from featurize.table import FeatureTable

Row = tuple[SourceImage, Content, int]  # the last is the variant


def assemble(
    source: Source,
    rows: list[Row],
    extractors: list[Extractor],
    matrices: list[np.ndarray],
    golden: list[np.ndarray],
    distort: Distortion | None,
) -> FeatureTable:
    """The table of the given rows; `matrices` hold a vector for each, `golden` is one vector per extractor."""
    images, contents, variants = zip(*rows, strict=True)
    ids: dict[str, Any] = {
        name: [getattr(image, name) for image in images] for name in ("image", "label", "group", "split")
    }
    ids |= {
        name: [getattr(content, name) for content in contents]
        for name in ("sha256", "width", "height", "bytes", "format")
    }
    ids["variant"] = variants
    text = ("image", "label", "group", "split", "sha256", "format")
    columns = {
        name: text_to_arrow(values) if name in text else numbers_to_arrow(np.array(values, dtype=np.int64))
        for name, values in ids.items()
    }
    metadata = {
        "source": {"path": os.fsencode(source.path).decode("utf-8", "backslashreplace"), "kind": source.kind},
        "features": {e.name: e.record(vector) for e, vector in zip(extractors, golden, strict=True)},
        **({"distortion": distort.record()} if distort else {}),
    }
    # What is written must be what is in memory: through JSON once, so that tuples are lists in both.
    vectors = {e.name: matrix for e, matrix in zip(extractors, matrices, strict=True)}
    return FeatureTable(pa.table(columns), vectors, json.loads(json.dumps(metadata)))


def keep_rows(matrix: np.ndarray, rows: np.ndarray, at_once: int = 4096) -> np.ndarray:
    """The given rows (ascending), moved up within the same memory."""
    for start in range(0, len(rows), at_once):
        part = rows[start : start + at_once]
        matrix[start : start + len(part)] = matrix[part]
    return matrix[: len(rows)]
