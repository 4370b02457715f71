"""From photos to an honest comparison in a minute, on three photographs that scikit-image ships.

Small crops of brick, grass and gravel stand in for a collection of photos: those from the left halves of the
photographs are for training, those from the right halves for the test at the end. The network runs with its
ImageNet weights; where they cannot be had, with random ones, and every table and report says so.

    python examples/quickstart.py [--output FOLDER]
"""

import argparse
import csv
from pathlib import Path

import skimage.data
from PIL import Image

from classify import save_model, train_model
from evaluate import compare, test, write_report
from featurize import GLCM, InceptionV3, extract
from featurize.errors import WeightsError

CROP, STEP = 32, 64


def write_crops(folder: Path) -> Path:
    """Crops of the three photographs as PNG files, and a manifest of their labels and splits."""
    rows = []
    for label in ("brick", "grass", "gravel"):
        photograph = getattr(skimage.data, label)()
        (folder / label).mkdir(parents=True, exist_ok=True)
        height, width = photograph.shape
        for top in range(0, height - CROP + 1, STEP):
            for left in range(0, width - CROP + 1, STEP):
                name = f"{label}/{top:03}-{left:03}.png"
                Image.fromarray(photograph[top : top + CROP, left : left + CROP]).save(folder / name)
                rows.append((name, label, "training" if left + CROP <= width // 2 else "testing"))
    manifest = folder / "manifest.csv"
    with open(manifest, "w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(["image", "label", "split"])
        writer.writerows(rows)
    return manifest


def inception() -> InceptionV3:
    """Inception v3 with ImageNet weights, or with random ones where those cannot be had."""
    extractor = InceptionV3()
    try:
        extractor.found_weights()
    except WeightsError as error:
        print(
            f"No ImageNet weights ({error.args[0][:60]}…): going on with weights='random', an untrained network."
        )
        return InceptionV3(weights="random")
    return extractor


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, default=Path("quickstart"), help="folder for all results")
    folder = parser.parse_args().output

    manifest = write_crops(folder / "photos")
    table = extract(manifest, [inception(), GLCM()], store=folder / "store")
    table.write(folder / "textures.parquet")
    print(table, end="\n\n")

    comparison = compare(table, heads=["softmax", "svm", "mlp"], cv=5)
    print(comparison, end="\n\n")
    write_report(comparison, folder / "comparison.html")

    model = train_model(table, "softmax", "inception_v3")
    save_model(model, folder / "textures.model")
    print("On the right halves, which nothing above has seen:")
    print(test(model, table), end="\n\n")
    print(f"The report is {folder / 'comparison.html'}. To classify a photo of your own:")
    print(f"  classify predict {folder / 'textures.model'} PHOTO.jpg")


if __name__ == "__main__":
    main()
