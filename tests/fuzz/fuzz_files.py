"""Valid files with a few bytes changed: each is read, or refused in one line. A few rounds run in the suite.

    nice -n 19 python tests/fuzz/fuzz_files.py FOLDER ROUNDS [SEED]

FOLDER is a new one. The input of the round that runs lies in it, so that a crash leaves it there.
"""

import contextlib
import io
import random
import sys
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from tensorboardX.proto.graph_pb2 import GraphDef

from classify import load_model, save_model, train_model
from featurize import BottleheadError, FeatureTable
from featurize.errors import WeightsError
from featurize.networks.graph_extractor import FrozenGraph
from featurize.networks.graph_file import candidates, constant_values, recognise, trained_layer
from featurize.networks.keras_network import weights_shapes
from featurize.photos.source import list_source

SLOW = 60  # seconds
NUMBERS = [0, 1, 0x7F, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF, 1 << 40, (1 << 63) - 1, (1 << 64) - 1]


def seeds(folder: Path) -> dict[Path, Callable[[Path], object]]:
    """Valid files of every kind, and what reads each."""
    rng = np.random.default_rng(0)
    label = ["ant", "bee", "cat"] * 10
    table = FeatureTable.from_arrays(
        {"x": rng.normal(size=(30, 4))}, label=label, sha256=[f"{i:064x}" for i in range(30)]
    )
    for ending in ("npz", "parquet"):
        table.write(folder / f"table.{ending}")
    save_model(train_model(table, "softmax", jobs=1), folder / "model")
    names = [f"{i}.jpg" for i in range(30)]
    (folder / "manifest.csv").write_text("image,label\n" + "".join(f"{n},ant\n" for n in names))
    columns = {"image": pa.array(names), "label": pa.array(label).dictionary_encode()}
    pq.write_table(pa.table(columns), folder / "manifest.parquet")
    with h5py.File(folder / "weights.h5", "w") as file:
        for number in range(5):
            file.create_dataset(f"layers/conv2d_{number}/vars/0", data=rng.normal(size=(3, 3, 4)))
    graph = GraphDef()
    graph.node.add(name="input", op="Placeholder")
    for name, shape in (("w", (4, 3)), ("b", (3,))):
        tensor = graph.node.add(name=name, op="Const").attr["value"].tensor
        tensor.dtype, tensor.tensor_content = 1, rng.normal(size=shape).astype("<f4").tobytes()
        for side in shape:
            tensor.tensor_shape.dim.add(size=side)
    graph.node.add(name="final_training_ops/product", op="MatMul", input=["input", "w"])
    graph.node.add(name="add", op="Add", input=["final_training_ops/product", "b"])
    (folder / "graph.pb").write_bytes(graph.SerializeToString())
    return {
        folder / "table.npz": FeatureTable.read,
        folder / "table.parquet": FeatureTable.read,
        folder / "model": load_model,
        folder / "manifest.csv": list_source,
        folder / "manifest.parquet": list_source,
        folder / "weights.h5": read_shapes,
        folder / "graph.pb": read_whole_graph,
    }


def read_shapes(path: Path) -> None:
    """What is looked at before Keras, which takes seconds, reads a file; it may raise anything, but not crash."""
    try:
        weights_shapes(str(path))
    except Exception as error:
        raise WeightsError(f"it is damaged: {error}", "give another file") from error


def read_whole_graph(path: Path) -> None:
    nodes = FrozenGraph(path).graph()
    candidates(nodes), recognise(nodes)
    layer = trained_layer(nodes)
    for name in (layer.weights, layer.biases) if layer else ():
        with contextlib.suppress(ValueError):  # `import_graph` turns it into an error of ours
            constant_values(nodes[name])


def mutated(data: bytes, rng: random.Random) -> bytes:
    """A few bytes changed; of a zip often those of a member, with checksums that are right again."""
    if data[:2] == b"PK" and rng.random() < 0.8:
        stream = io.BytesIO()
        with zipfile.ZipFile(io.BytesIO(data)) as archive, zipfile.ZipFile(stream, "w") as changed:
            chosen = rng.choice(archive.namelist())
            for name in archive.namelist():
                content = archive.read(name)
                changed.writestr(name, mutated(content, rng) if name == chosen else content)
        return stream.getvalue()
    changed_bytes = bytearray(data)
    for _ in range(rng.choice([1, 1, 2, 4, 16])):
        at, width = rng.randrange(len(changed_bytes) + 1), rng.choice([1, 2, 4, 8])
        number = rng.choice([*NUMBERS, rng.getrandbits(64)]) & ((1 << 8 * width) - 1)
        kind = rng.randrange(6)
        if kind < 3:
            changed_bytes[at : at + width] = number.to_bytes(width, "little")
        elif kind == 3:
            del changed_bytes[at : at + rng.choice([1, 8, 100, len(data)])]
        else:
            start = rng.randrange(len(data) + 1)
            changed_bytes[at : at + (kind == 4) * width] = data[start : start + rng.choice([1, 8, 100])]
    return bytes(changed_bytes)


def fuzz(folder: Path, rounds: int, seed: int = 0) -> dict[str, list[int]]:
    """How many of `rounds` files of each kind were read and refused; an error of any other kind comes out."""
    found = {}
    for path, read in seeds(folder).items():
        valid, rng, counts = path.read_bytes(), random.Random(f"{seed} {path.name}"), [0, 0]
        for number in range(rounds):
            path.write_bytes(mutated(valid, rng))
            start = time.monotonic()
            try:
                read(path)
                counts[0] += 1
            except BottleheadError as error:
                counts[1] += 1
                assert error.args[0] and error.hint, f"{path.name}, round {number}"
            except Exception as error:
                error.add_note(f"{path.name}, round {number}: {path}")
                raise
            assert time.monotonic() - start < SLOW, f"{path.name}, round {number}"
        found[path.name] = counts
    return found


if __name__ == "__main__":
    place = Path(sys.argv[1])
    place.mkdir(parents=True)
    for name, (n_read, n_refused) in fuzz(place, int(sys.argv[2]), int(*sys.argv[3:4] or [0])).items():
        print(f"{name}: {n_read} read, {n_refused} refused")
