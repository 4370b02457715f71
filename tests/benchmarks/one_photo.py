"""What one photo costs from the shell, and how much of it is TensorFlow.

    python tests/benchmarks/one_photo.py MODEL PHOTO

Prints processor seconds (which other programs on the machine hardly change) and wall-clock seconds of a bare
``import tensorflow``, of a photo's vector from the kept frozen network and nothing more, of ``classify predict`` on a
photo that was not seen before, and on the same photo again, whose vector is in the store by then.

Measured (2 processors, idle; RBF SVM on Inception v3 mixed8):

                                 processor      wall
    import tensorflow               4.83 s    4.64 s
    the vector alone                5.37 s    5.08 s
    predict, a photo never seen     4.46 s    4.05 s
    predict, a photo in the store   1.54 s    1.32 s

The last two were measured before the commands let Python's garbage collector run during imports, which costs 0.4 s.
To load the model in a thread while TensorFlow is imported in another saved nothing: both hold
the interpreter.
"""

import sys
import tempfile
from pathlib import Path

from figures import command_seconds, figure, parser, report
from PIL import Image

VECTOR = """
import json, sys, zipfile
from featurize.extractors import extractor_from_metadata
from featurize.store.store import Store
model, store, photo = sys.argv[1:]
for entry in json.loads(zipfile.ZipFile(model).read("model.json"))["described"].values():
    extractor = extractor_from_metadata(entry)
    extractor.attach(Store(store))
    extractor.transform([photo])
"""


def main(argv: list[str] | None = None) -> None:
    made = parser(__doc__)
    made.add_argument("model")
    made.add_argument("photo")
    args = made.parse_args(argv)
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        predict = [sys.executable, "-m", "classify", "predict", args.model, "--store", folder]
        command_seconds([*predict, args.photo])  # keeps the frozen network
        new = Path(folder) / "new.png"
        with Image.open(args.photo) as image:
            image.transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(new)
        for name, command in {
            "import tensorflow": [sys.executable, "-c", "import tensorflow"],
            "the vector alone": [sys.executable, "-c", VECTOR, args.model, folder, str(new)],
            "predict, a photo never seen": [*predict, str(new)],
            "predict, a photo in the store": [*predict, str(new)],
        }.items():
            cpu, wall = command_seconds(command)
            limit = {"predict, a photo never seen": 8.0, "predict, a photo in the store": 1.5}.get(name)
            rows.append(figure(name, wall, "s", at_most=limit))
            rows.append(figure("  processor time of that", cpu, "s"))
    report("one_photo", rows, args.json)


if __name__ == "__main__":
    main()
