"""From photos to an honest comparison in a minute, on pictures that scikit-image and scikit-learn ship.

Small crops of eleven pictures stand in for a collection of photos. Each picture is cut into quarters, which do not
overlap: the crops of one quarter are a group, which no division separates, and the last quarters are for the test at
the end. A network is compared with ``texture``, the strong classical description. It is EfficientNet-Lite0, whose
ImageNet weights come with the extra lite0; without it Inception v3 runs with its own weights, and where those cannot be
had either, with random ones, and every table and report says so.

    python examples/quickstart.py [--output FOLDER]
"""

import argparse
import csv
import logging
from pathlib import Path

import skimage.data
from PIL import Image
from sklearn.datasets import load_sample_image

from classify import save_model, train_model
from evaluate import compare, test, write_report
from featurize import Backbone, InceptionV3, extract, make_extractor
from featurize.errors import WeightsError

PICTURES = {
    "brick": skimage.data.brick,
    "china": lambda: load_sample_image("china.jpg"),
    "coffee": skimage.data.coffee,
    "flower": lambda: load_sample_image("flower.jpg"),
    "fur": skimage.data.chelsea,
    "galaxies": skimage.data.hubble_deep_field,
    "grass": skimage.data.grass,
    "gravel": skimage.data.gravel,
    "histology": skimage.data.immunohistochemistry,
    "retina": skimage.data.retina,
    "rocket": skimage.data.rocket,
}
SHORTER, CROP = 400, 64  # pixels: the shorter side of a picture, and the side of a crop
TEXTURE = "texture"


def write_crops(folder: Path) -> Path:
    """Four crops of each quarter of the pictures as PNG files, and a manifest of labels, groups and splits."""
    rows = []
    for label, load in PICTURES.items():
        picture = Image.fromarray(load()).convert("RGB")
        scale = SHORTER / min(picture.size)
        picture = picture.resize([round(side * scale) for side in picture.size])
        (folder / label).mkdir(parents=True, exist_ok=True)
        width, height = picture.width // 2, picture.height // 2
        for quarter in range(4):
            for crop in range(4):
                left = quarter % 2 * width + crop % 2 * (width - CROP)
                top = quarter // 2 * height + crop // 2 * (height - CROP)
                name = f"{label}/{quarter + 1}{'abcd'[crop]}.png"
                picture.crop((left, top, left + CROP, top + CROP)).save(folder / name)
                split = "training" if quarter < 3 else "testing"
                rows.append((name, label, f"{label}, quarter {quarter + 1}", split))
    manifest = folder / "manifest.csv"
    with open(manifest, "w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(["image", "label", "group", "split"])
        writer.writerows(rows)
    return manifest


def network() -> Backbone:
    """EfficientNet-Lite0, or Inception v3 where its package is not installed, if need be with random weights."""
    error = _missing(extractor := Backbone("efficientnet_lite0"))
    if error is None:
        return extractor
    print(
        f"No efficientnet_lite0 ({error.args[0]}): going on with inception_v3. {error.hint.partition(';')[0]}"
    )
    error = _missing(extractor := InceptionV3())
    if error is None:
        return extractor
    print(
        f"No ImageNet weights ({error.args[0][:60]}…): going on with weights='random', an untrained network."
    )
    return InceptionV3(weights="random")


def _missing(extractor: Backbone) -> WeightsError | None:
    try:
        extractor.found_weights()
    except WeightsError as error:
        return error
    return None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, default=Path("quickstart"), help="folder for all results")
    folder = parser.parse_args().output
    logging.basicConfig(level=logging.INFO, format="%(message)s")  # messages and progress

    manifest = write_crops(folder / "photos")
    extractor = network()
    table = extract(manifest, [extractor, make_extractor(TEXTURE)], store=folder / "store")
    table.write(folder / "crops.parquet")
    print(table, end="\n\n")

    comparison = compare(table, heads=["softmax", "svm"], cv=3)
    print(comparison, end="\n\n")
    write_report(comparison, folder / "comparison.html")

    model = train_model(table, "softmax", extractor.name)
    save_model(model, folder / "crops.model")
    print("On the last quarters, which nothing above has seen:")
    print(test(model, table), end="\n\n")
    print(
        "Crops of few pictures are easy: other quarters of the same picture share its light, camera and colours."
    )
    print(f"The report is {folder / 'comparison.html'}. To classify a photo of your own:")
    print(f"  classify predict {folder / 'crops.model'} PHOTO.jpg")


if __name__ == "__main__":
    main()
