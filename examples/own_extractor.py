"""An extractor of your own, cached, compared and used like the ones that come with the package.

A function of one photo (RGB, uint8) that returns numbers is enough; it needs a version, to be raised whenever its
numbers change. To use it by name on the command line, in models and in other programs, register it in the
pyproject.toml of your package, and install that:

    [project.entry-points."featurize.extractors"]
    edges = "own_extractor:edges"

    featurize extract photos/ -o photos.parquet --features edges texture

    python examples/own_extractor.py PHOTOS [--store FOLDER]
"""

import argparse

import numpy as np

from evaluate import compare
from featurize import FunctionExtractor, extract


def edges(rgb: np.ndarray) -> list[float]:
    """How strong the edges are on average, across and down, and how uneven."""
    grey = rgb.mean(axis=2)
    down, across = np.gradient(grey) if min(grey.shape) > 1 else (np.zeros(1), np.zeros(1))
    strength = np.hypot(down, across)
    return [abs(across).mean(), abs(down).mean(), strength.std()]


edges.version = 1  # type: ignore[attr-defined]
edges.value_names = ["across", "down", "unevenness"]  # type: ignore[attr-defined]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("photos", help="a folder of class folders")
    parser.add_argument("--store", help="where vectors are kept")
    args = parser.parse_args()
    table = extract(args.photos, [FunctionExtractor(edges, "edges"), "texture"], store=args.store)
    print(table)
    print(compare(table, features=["edges", "texture", "edges+texture"], heads=["softmax"]))


if __name__ == "__main__":
    main()
