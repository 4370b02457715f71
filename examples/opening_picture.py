"""The picture at the top of README: crops of eleven pictures, laid out by the vectors of a network.

``examples/quickstart.py`` makes the crops and their table; nothing else is shown.

    python examples/opening_picture.py quickstart/crops.parquet quickstart/photos opening.png
"""

import sys
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from matplotlib.offsetbox import AnnotationBbox, OffsetImage
from PIL import Image

from evaluate import map_photos
from featurize import FeatureTable

SIDE = 26  # pixels of a crop in the picture


def draw(table: Path, photos: Path, output: Path) -> None:
    found = map_photos(FeatureTable.read(table), "efficientnet_lite0")
    figure = Figure(figsize=(9, 3.6), dpi=100)
    axes = figure.add_axes((0.02, 0.02, 0.96, 0.96))
    axes.set_axis_off()
    axes.set(xlim=(-0.03, 1.03), ylim=(-0.05, 1.05))
    colours = dict(zip(sorted(set(found.label)), plotted(len(set(found.label))), strict=True))
    for image, label, place in zip(found.image, found.label, found.places, strict=True):
        with Image.open(photos / image) as crop:
            pixels = np.asarray(crop.convert("RGB").resize((SIDE, SIDE)))
        frame = {"edgecolor": colours[label], "linewidth": 2}
        axes.add_artist(AnnotationBbox(OffsetImage(pixels), place, pad=0, bboxprops=frame))
    figure.savefig(output)
    with Image.open(output) as picture:
        small = picture.convert("RGB").quantize(128)
    small.save(output, optimize=True)


def plotted(number: int) -> list[tuple[float, ...]]:
    """As many colours, each unlike the others."""
    from matplotlib import colormaps

    return [tuple(colormaps["turbo"](share)) for share in np.linspace(0.03, 0.97, number)]


if __name__ == "__main__":
    draw(*map(Path, sys.argv[1:4]))
