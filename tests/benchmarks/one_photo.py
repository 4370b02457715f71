"""What one photo costs from the shell, and how much of it is TensorFlow.

    python tests/benchmarks/one_photo.py MODEL PHOTO

Prints processor seconds (which other programs on the machine hardly change) and wall-clock seconds of a bare
``import tensorflow``, of a photo's vector from the kept frozen network and nothing more, of ``classify predict`` on a
photo that was not seen before, and on the same photo again, whose vector is in the store by then.

Measured (2 processors in use by others too; RBF SVM on Inception v3 mixed8):

                                 processor      wall
    import tensorflow               4.23 s    5.68 s
    the vector alone                6.21 s    7.30 s
    predict, a photo never seen     6.93 s    7.12 s
    predict, a photo in the store   2.12 s    2.12 s

All but 0.7 s of 6.9 is the network's. The last row is longer than that because TensorFlow imports scikit-learn and
pandas too, which here have to be imported without it. To load the model in a thread while TensorFlow is imported in
another saved nothing: both hold the interpreter.
"""

import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from PIL import Image

VECTOR = """
import json, sys, zipfile
from featurize.extractors import extractor_from_metadata
from featurize.store import Store
model, store, photo = sys.argv[1:]
for entry in json.loads(zipfile.ZipFile(model).read("model.json"))["described"].values():
    extractor = extractor_from_metadata(entry)
    extractor.attach(Store(store))
    extractor.transform([photo])
"""


def seconds(command: list[str]) -> tuple[float, float]:
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    wall, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, wall


def main(model: str, photo: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        predict = [sys.executable, "-m", "classify", "predict", model, "--store", folder]
        seconds([*predict, photo])  # keeps the frozen network
        new = Path(folder) / "new.png"
        with Image.open(photo) as image:
            image.transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(new)
        print(f"{'':34} processor      wall   ({os.cpu_count()} processors)")
        for name, command in {
            "import tensorflow": [sys.executable, "-c", "import tensorflow"],
            "the vector alone": [sys.executable, "-c", VECTOR, model, folder, str(new)],
            "predict, a photo never seen": [*predict, str(new)],
            "predict, a photo in the store": [*predict, str(new)],
        }.items():
            print("{:34} {:7.2f} s {:7.2f} s".format(name, *seconds(command)))


if __name__ == "__main__":
    main(*sys.argv[1:])
