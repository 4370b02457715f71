"""Files from strangers: what a file says of its size is checked before anything of that size is allocated."""

import importlib.util
import json
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from builders import made_table, members_of, write_members
from tensorboardX.proto.graph_pb2 import GraphDef

from classify import load_model, save_model, train_model
from featurize import BottleheadError, FeatureTable
from featurize.networks.catalogue import find_network
from featurize.networks.graph_file import constant_values, read_graph
from featurize.networks.keras_network import _loaded_model
from featurize.photos.source import list_source

N = 20_000
LONG = "L" * 100_000
MOST = 30e6  # bytes that a refusal may take, of files that unpack to 0.1 to 4 GB


def assert_refused(read: Callable[[], object], error: str) -> None:
    """`read` says in one line what is wrong, and takes no memory for what the file says."""
    before = pa.total_allocated_bytes()
    tracemalloc.start()
    try:
        with pytest.raises(BottleheadError, match=error) as caught:
            read()
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert caught.value.args[0].isprintable() and caught.value.hint
    assert most + pa.total_allocated_bytes() - before < MOST


def npy(descr: str, shape: tuple[int, ...], n_zeros: int = 0) -> bytes:
    """An array file that says what it likes of its size."""
    header = str({"descr": descr, "fortran_order": False, "shape": shape}).encode()
    header += b" " * (117 - len(header)) + b"\n"
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + bytes(n_zeros)


NPZ = {
    "deflated zeros": ("x", npy("<f4", (60, 500_000), 120_000_000), zipfile.ZIP_DEFLATED),
    "bzip2": ("x", npy("<f4", (60, 500_000), 120_000_000), zipfile.ZIP_BZIP2),
    "a shape of terabytes": ("x", npy("<f4", (60, 1 << 40)), zipfile.ZIP_STORED),
    "texts of no length": ("label", npy("<U0", (1 << 40,)), zipfile.ZIP_STORED),
    "rows of no texts": ("label", npy("<U1", (1 << 40, 0)), zipfile.ZIP_STORED),
    "a negative shape": ("x", npy("<f4", (-60, 6), 1440), zipfile.ZIP_STORED),
}


@pytest.mark.parametrize("case", NPZ)
def test_an_npz_that_unpacks_to_more_than_it_holds_is_refused_by_its_header(case, tmp_path):
    made_table().write(tmp_path / "t.npz")
    name, data, compression = NPZ[case]
    write_members(tmp_path / "t.npz", members_of(tmp_path / "t.npz") | {f"{name}.npy": data}, compression)
    del data
    assert_refused(lambda: FeatureTable.read(tmp_path / "t.npz"), "cannot be read as a table")


def test_a_deflated_npz_is_read_where_it_unpacks_to_what_tables_do(tmp_path):
    table = made_table()
    table.write(tmp_path / "t.npz")
    write_members(tmp_path / "t.npz", members_of(tmp_path / "t.npz"), zipfile.ZIP_DEFLATED)
    again = FeatureTable.read(tmp_path / "t.npz")
    assert again.ids == table.ids
    np.testing.assert_array_equal(again.select("good"), table.select("good"))


def lists(n_rows: int, width: int) -> pa.Array:
    return pa.FixedSizeListArray.from_arrays(pa.array(np.zeros(n_rows * width, np.float32)), width)


def repeated(text: str, n_rows: int) -> pa.Array:
    return pa.DictionaryArray.from_arrays(pa.array(np.zeros(n_rows, np.int32)), pa.array([text]))


def parquet_cases() -> dict[str, pa.Table]:
    image = pa.array([f"{i}.jpg" for i in range(N)])
    return {
        "one long text in every row": pa.table(
            {"image": image, "label": repeated(LONG, N), "x": lists(N, 1)}
        ),
        "millions of rows": pa.table({"image": repeated("a.jpg", 10_000_000)}),
        "two columns of one name": pa.table([image, image, lists(N, 1)], names=["image", "image", "x"]),
    }


@pytest.mark.parametrize("kind", ["table", "manifest"])
@pytest.mark.parametrize(
    "case", ["one long text in every row", "millions of rows", "two columns of one name"]
)
def test_a_parquet_file_that_unpacks_to_more_than_it_holds_is_refused(case, kind, tmp_path):
    about = {"featurize": json.dumps({"format_version": 1, "source": None, "features": {}})}
    table = parquet_cases()[case].replace_schema_metadata(about if kind == "table" else None)
    pq.write_table(table, tmp_path / "t.parquet", row_group_size=10_000_000)
    del table
    read = FeatureTable.read if kind == "table" else list_source
    assert_refused(
        lambda: read(tmp_path / "t.parquet"), "it would unpack to|it has two columns|has two columns"
    )


@pytest.mark.parametrize(
    "case", ["many values", "a wide vector", "an array read often", "objects that double"]
)
def test_a_model_that_would_take_more_than_its_bytes_is_refused(case, tmp_path):
    save_model(train_model(made_table(), "softmax", "good", jobs=1), tmp_path / "m")
    members = members_of(tmp_path / "m")
    if case == "many values":
        members["model.json"] = b'{"protocol": 1, "x": [' + b"[]," * (1 << 20) + b"[]]}"
    elif case == "a wide vector":
        members["model.json"] = json.dumps(json.loads(members["model.json"]) | {"widths": [10**12]}).encode()
    else:
        (tmp_path / "head").write_bytes(members["head.skops"])
        inside = members_of(tmp_path / "head")
        inside["schema.json"] = json.dumps(doubling() if "double" in case else many_arrays()).encode()
        inside["0.npy"] = npy("<f4", (1_000_000,), 4_000_000)
        write_members(tmp_path / "head", inside)
        members["head.skops"] = (tmp_path / "head").read_bytes()
    write_members(tmp_path / "m", members)
    assert_refused(lambda: load_model(tmp_path / "m"), "cannot be read as a model")


def doubling() -> dict:
    """A list of two lists, which are one, and so on, forty deep: skops follows each 2⁴⁰ times."""
    node: dict = {"__class__": "str", "__module__": "builtins", "__loader__": "JsonNode", "content": "1"}
    for number in range(1, 41):
        node = {"__class__": "list", "__module__": "builtins", "__loader__": "ListNode", "__id__": number} | {
            "content": [node, {"__id__": number - 1}] if number > 1 else [node]
        }
    return node | {"protocol": 2}


def many_arrays() -> dict:
    array = {"__class__": "ndarray", "__module__": "numpy", "__loader__": "NdArrayNode", "type": "numpy"}
    content = [array | {"file": "0.npy", "__id__": number} for number in range(1, 100)]
    whole = {"__class__": "list", "__module__": "builtins", "__loader__": "ListNode", "__id__": 1000}
    return whole | {"content": content, "protocol": 2}


@pytest.mark.parametrize("case", ["a huge data set", "numbers of another file"])
def test_weights_that_say_more_than_they_hold_are_refused(case, tmp_path):
    path = tmp_path / "w.h5"
    with h5py.File(path, "w") as file:
        if case == "a huge data set":
            file.create_dataset("x", shape=(1 << 40,), dtype="f4", chunks=(1 << 20,))
        else:
            file.create_dataset("x", shape=(4,), dtype="f4", external=[("/etc/passwd", 0, 16)])
    refused = "it is damaged .*(would unpack|is read from another file)"
    # No network is built for it: its model stands for nothing here.
    assert_refused(lambda: _loaded_model(find_network("mobilenet_0.25_128"), str(path)), refused)


def test_a_constant_of_one_number_and_a_huge_shape_is_refused():
    graph = GraphDef()
    node = graph.node.add(name="w", op="Const")
    node.attr["value"].tensor.dtype = 1
    node.attr["value"].tensor.float_val.append(1.0)
    node.attr["value"].tensor.tensor_shape.dim.add(size=1 << 40)
    with pytest.raises(ValueError, match="would unpack to"):
        constant_values(read_graph(graph.SerializeToString())["w"])


def test_valid_files_with_a_few_bytes_changed_are_read_or_refused(tmp_path):
    path = Path(__file__).parents[1] / "fuzz" / "fuzz_files.py"
    spec = importlib.util.spec_from_file_location("fuzz_files", path)
    fuzzer = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(fuzzer)
    for read, refused in fuzzer.fuzz(tmp_path, rounds=25).values():
        assert read + refused == 25 and refused
