"""Sizes, operations, milliseconds and differences of all exports of one model, as the table in classify/README.md.

python tests/benchmarks/exports.py MODEL PHOTOS [--store DIR]
"""

import argparse
import tempfile
from pathlib import Path

from classify import export_model, load_model

FORMATS = {
    "`.pb`": ("m.pb", "float32"),
    "saved_model": ("saved", "float32"),
    "`.tflite`": ("m.tflite", "float32"),
    "`.tflite`, float16": ("half.tflite", "float16"),
    "`.tflite`, int8": ("int8.tflite", "int8"),
    "`.onnx`": ("m.onnx", "float32"),
    "`.xml`": ("m.xml", "float32"),
    "`.npz`, the head": ("m.npz", "float32"),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model")
    parser.add_argument("photos")
    parser.add_argument("--store")
    args = parser.parse_args()
    model = load_model(args.model)
    print("| output | MB | operations | ms a photo | equal pixels | whole photos | labels |")
    print("|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for name, (file, precision) in FORMATS.items():
            options = {"precision": precision, "check": args.photos, "force": True, "store": args.store}
            about = export_model(model, Path(folder, file), **options)
            pixels, photos = about["check"]["pixels"], about["check"]["photos"]
            cells = [
                name,
                f"{about['bytes'] / 1e6:.2f}",
                about["operations"] or "",
                f"{about['ms_per_photo']:.2f}",
            ]
            cells += [
                f"{pixels['difference']:.1g}",
                f"{photos['difference']:.1g}" if photos["photos"] else "",
            ]
            print(f"| {' | '.join(map(str, cells))} | {pixels['labels']} of {pixels['photos']} |", flush=True)


if __name__ == "__main__":
    main()
