"""Vectors that were made elsewhere: from data frames, Parquet and npy they become features of unknown origin."""

import json
import os
import pickle
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from builders import run, words_of_page, write_photos

from featurize import BottleheadError, FeatureTable

N = 6
X = np.random.default_rng(0).normal(size=(N, 12)).astype(np.float32)
IMAGES = [f"{i}.jpg" for i in range(N)]
UNKNOWN = "clip: imported vectors; which network and preprocessing made them is not known"


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    lines = [f"{image},{i % 2},{30 + i}" for i, image in enumerate(IMAGES)]
    Path("m.csv").write_text("\n".join(["image,label,age", *lines]))


def frame(**more) -> pd.DataFrame:
    return pd.DataFrame({"image": IMAGES, "label": [0, 1] * 3, "age": [30.0, None, 32, 33, 34, 35], **more})


def wide() -> dict[str, np.ndarray]:
    """The numbers in columns that stand in the order of their names as text: e1, e10, e11, e2 …"""
    return {f"e{i}": X[:, i] for i in sorted(range(12), key=str)}


def imported(words: str) -> FeatureTable:
    done = run(f"featurize import-vectors {words} -o t.parquet")
    assert done.status == 0, done.err
    return FeatureTable.read("t.parquet")


def refused(words: str) -> tuple[str, str]:
    done = run(f"featurize import-vectors {words} -o t.parquet")
    assert done.status == 1 and not os.path.exists("t.parquet")
    return done.error, done.hint


def rejects() -> dict[str, str]:
    return dict(pd.read_csv("t.rejects.csv").itertuples(index=False, name=None))


@pytest.mark.parametrize("make", [
    lambda: frame(e=list(X)), lambda: pl.DataFrame({"image": IMAGES, "label": [0, 1] * 3, "e": X}),
    lambda: pl.DataFrame({"image": IMAGES, "label": [0, 1] * 3, "e": X.tolist()}),
    lambda: pa.table({"image": IMAGES, "label": pa.array([0, 1] * 3).dictionary_encode(), "e": list(X)}),
    lambda: {"image": IMAGES, "label": [0, 1] * 3, "e": X.tolist()},
    lambda: duckdb.from_arrow(pa.table({"image": IMAGES, "label": [0, 1] * 3, "e": list(X)})),
])  # fmt: skip
def test_a_column_of_lists_becomes_features_whatever_the_frame(make):
    table = FeatureTable.from_frame(make(), features={"clip": "e"})
    np.testing.assert_array_equal(table.select("clip"), X)
    assert list(table.image) == IMAGES and list(table.label) == ["0", "1"] * 3
    assert set(table.sha256) == {None}
    assert "clip (12, imported)" in repr(table)


def test_columns_of_numbers_become_features_in_the_order_of_the_numbers_in_their_names():
    table = FeatureTable.from_frame(frame(**wide()), features={"clip": "e*", "two": ["e11", "e3"]})
    np.testing.assert_array_equal(table.select("clip"), X)
    np.testing.assert_array_equal(table.select("two"), X[:, [11, 3]])
    assert table.value_names("clip") == [f"e{i}" for i in range(12)]


def test_a_table_in_pandas_and_back_is_the_same_but_for_its_origin():
    ids = {"sha256": ["ab" * 32] * 2, "variant": [0, 5], "image": ["a.jpg"] * 2, "label": ["x"] * 2}
    before = FeatureTable.from_arrays({"x": X[:2]}, **ids)
    after = FeatureTable.from_frame(before.to_frame(), features={"x": "x_*"})
    assert after.digest() == before.digest() and "imported" in repr(after)


@pytest.mark.parametrize(("features", "columns", "error", "hint"), [
    ({"clip": "f"}, {}, "no column 'f'", "image, label, age, e, g"),
    ({"clip": "f_*"}, {}, "no column begins with 'f_'", "image, label"),
    ({"clip": "e"}, {"label": "class"}, "no column named 'class'", "image, label, age"),
    ({"clip": "e"}, {"width": "age"}, "'width' is no column", "image, sha256"),
    ({"clip": "image"}, {}, "image holds", "list of numbers"),
    ({"clip": "g"}, {}, "1 of 6 rows have no vector of clip; the first is row 2 (2.jpg): 1 numbers", "drop"),
    ({"label": "e"}, {}, "cannot be named 'label'", "another name"),
    ({"age": "e"}, {}, "age is a kept column and features", "another name"),
    ({}, {}, "no columns of vectors are named", "embedding"),
    ({"clip": []}, {}, "no column of vectors is named", "image"),
    ({"clip": "e"}, {"split": "age"}, "a split is called 30", "training"),
])  # fmt: skip
def test_a_frame_that_is_asked_for_what_it_has_not_says_what_it_has(features, columns, error, hint):
    ragged = [[1.0, 2.0]] * 6
    ragged[2] = [1.0]
    with pytest.raises(BottleheadError) as caught:
        given = frame(e=list(X), g=ragged)
        FeatureTable.from_frame(given, features, columns=columns, keep=["age"])
    assert error in str(caught.value) and hint in caught.value.hint


@pytest.mark.parametrize(
    "given", [[1, 2], "t.parquet", None, pd.DataFrame({"e": []}), frame(e=[[1], "a"] * 3)]
)
def test_what_is_no_frame_of_vectors_is_refused(given):
    with pytest.raises(BottleheadError) as caught:
        FeatureTable.from_frame(given, {"clip": "e"})
    assert caught.value.hint


@pytest.mark.parametrize("labels", [[0, 1, None], np.array([0, 1, 7]), [np.int8(0), 1, 7]])
def test_labels_that_are_whole_numbers_are_taken_as_text_which_is_said_once(labels, caplog):
    caplog.set_level("INFO", "bottlehead")
    table = FeatureTable.from_arrays({"x": np.eye(3)}, label=labels)
    assert list(table.label) == [None if one is None else str(one) for one in labels]
    said = [message for message in caplog.messages if "whole numbers" in message]
    assert said == ["the column label holds whole numbers, which are taken as text"]


# -- import-vectors ---


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", ">f4", "uint8"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_an_npy_of_any_numbers_takes_a_manifest_of_its_length(dtype, order):
    numbers = np.array(100 * X, dtype=dtype, order=order) if dtype != "uint8" else np.eye(N, 12, dtype=dtype)
    np.save("clip.npy", numbers)
    table = imported("clip.npy --manifest m.csv")
    np.testing.assert_array_equal(table.select("clip"), numbers.astype(np.float32))
    assert list(table.image) == IMAGES and list(table.label) == ["0", "1"] * 3


@pytest.mark.parametrize(("numbers", "words"), [
    (X[:5], ("5 vectors", "6 lines")), (X[0], ("shape (12,)",)), (X[:, :, None], ("shape (6, 12, 1)",)),
    (X[:0], ("shape (0, 12)",)), (X[:, :0], ("shape (6, 0)",)), (X.astype(complex), ("complex128",)),
    (np.array([["a"]] * N), ("<U1",)), (X > 0, ("bool",)), (np.zeros(N, [("a", "f4")]), ("no numbers",)),
])  # fmt: skip
def test_an_npy_that_is_no_matrix_of_numbers_for_the_manifest_is_refused(numbers, words):
    np.save("clip.npy", numbers)
    error, hint = refused("clip.npy --manifest m.csv")
    assert all(word in error for word in words) and hint


class Traitor:
    def __reduce__(self):
        return os.mkdir, ("unpickled",)


def test_an_npy_with_objects_is_never_unpickled():
    np.save("clip.npy", np.array([[Traitor()]] * N), allow_pickle=True)
    Path("raw.npy").write_bytes(pickle.dumps(Traitor()))
    for name in ("clip.npy", "raw.npy"):
        assert name in refused(f"{name} --manifest m.csv")[0]
    assert not os.path.exists("unpickled")


def test_a_row_without_usable_numbers_is_a_reject_with_its_reason():
    numbers = X.astype(np.float64)
    numbers[1, 2], numbers[2, 0], numbers[3, 0], numbers[4, 0] = np.nan, -np.inf, 1e300, 1e30
    np.save("clip.npy", numbers)
    table = imported("clip.npy --manifest m.csv")
    assert list(table.image) == ["0.jpg", "4.jpg", "5.jpg"] and set(rejects()) == {"1.jpg", "2.jpg", "3.jpg"}
    np.testing.assert_array_equal(table.select("clip"), numbers[[0, 4, 5]].astype(np.float32))
    assert all("not finite, or too large for 32 bits" in reason for reason in rejects().values())


OLD_ARROW = pytest.mark.skipif(
    int(pa.__version__.partition(".")[0]) < 20, reason="Arrow reads no null among fixed-size lists in Parquet"
)


@pytest.mark.parametrize(
    "kind",
    [
        pa.list_(pa.float64()),
        pytest.param(pa.list_(pa.float32(), 2), marks=OLD_ARROW),
        pa.large_list(pa.float16()),
    ],
)
def test_parquet_lists_that_are_null_ragged_or_gappy_are_rejects(kind):
    fixed = pa.types.is_fixed_size_list(kind)
    lists = [[1, 2], None, [3, None], [float("nan"), 0], *([[5, 6], [7, 8]] if fixed else [[5], [7, 8]])]
    lists = pa.array(lists, pa.list_(pa.float64())).cast(kind)
    pq.write_table(pa.table({"image": IMAGES, "e": lists}), "v.parquet", row_group_size=2)
    table = imported("v.parquet --name clip")
    found = dict(zip(table.image, table.select("clip").tolist(), strict=True))
    assert found == {"0.jpg": [1, 2], "5.jpg": [7, 8]} | ({"4.jpg": [5, 6]} if fixed else {})
    assert rejects()["1.jpg"] == "no vector (null)" and rejects()["2.jpg"] == "a number is missing (null)"
    assert "not finite" in rejects()["3.jpg"]
    assert fixed or rejects()["4.jpg"] == "1 numbers, where the others have 2"


def test_parquet_columns_by_prefix_are_one_features_and_integer_labels_text_which_is_said_once():
    frame(**wide()).to_parquet("v.parquet")
    done = run("featurize import-vectors v.parquet --columns vector=e* --keep age -o t.parquet")
    assert done.err.count("whole numbers, which are taken as text") == 1
    table = FeatureTable.read("t.parquet")
    np.testing.assert_array_equal(table.select("e"), X)
    assert list(table.label) == ["0", "1"] * 3 and table["age"][0] == "30.0" and table["age"][1] is None


@pytest.mark.parametrize(("columns", "words", "error", "hint"), [
    ({"e": list(X)}, "--columns vector=f", "no column 'f'", "image, label, age, e"),
    ({"e": list(X)}, "--columns image=f", "no columns named 'f'", "'image', 'label'"),
    ({"e": list(X)}, "--keep site", "no columns named 'site'", "'age'"),
    ({"e": list(X)}, "--keep label", "'label' cannot be kept", "in every table"),
    ({"e": list(X)}, "--keep age --name age", "age is a kept column and features", "another name"),
    ({"e": list(X), "f": list(X)}, "", "e and f are all columns of vectors", "--columns vector=NAME"),
    ({"e": ["a"] * N}, "", "no column of vectors", "columns are image, label, age, e"),
    ({"e": [["a"]] * N}, "--columns vector=e", "list<element: string>", "list of numbers"),
    ({"e": [[]] * N}, "--columns vector=e", "list<element: null>", "list of numbers"),
    ({"e": pa.array([[]] * N, pa.list_(pa.float32()))}, "", "empty lists or nulls alone", "one list"),
    ({"e": pa.array([None] * N, pa.list_(pa.float32()))}, "", "empty lists or nulls alone", "one list"),
    ({"e": [[np.nan]] * N}, "", "no row of v.parquet can be used; the first, 0.jpg", "one row per photo"),
    ({"e": list(X)}, "--manifest m.csv", "names its images itself", "leave --manifest out"),
])  # fmt: skip
def test_a_parquet_file_that_is_asked_for_what_it_has_not_says_what_it_has(columns, words, error, hint):
    table = {name: pa.array(frame()[name]) for name in ("image", "label", "age")} | columns
    pq.write_table(pa.table(table), "v.parquet")
    found = refused(f"v.parquet {words}")
    assert error in found[0] and hint in found[1]


def test_files_that_hold_no_vectors_are_one_error_and_one_hint():
    np.save("whole.npy", X)
    Path("cut.npy").write_bytes(Path("whole.npy").read_bytes()[:-4])
    for name in ("junk.npy", "junk.parquet"):
        Path(name).write_bytes(b"PAR1 and no more")
    schema = pa.schema({"image": pa.string(), "e": pa.list_(pa.float32())})
    pq.write_table(schema.empty_table(), "0.parquet")
    FeatureTable.from_arrays({"x": X}).write("own.parquet")
    words = [
        "none.npy",
        "cut.npy",
        "junk.npy",
        "junk.parquet",
        "0.parquet",
        "whole.csv",
        "whole.npz",
        "own.parquet",
    ]
    for name in words:
        assert all(refused(f"{name} --manifest m.csv" if name.endswith("npy") else name))
    assert "--manifest" in refused("whole.npy")[1]


def test_an_image_that_is_named_again_is_a_reject_and_so_is_a_line_without_image():
    Path("m.csv").write_text(
        "image,label\na.jpg,x\nb.jpg,x\na.jpg,y\n,x\nr_nohash_1.jpg,y\nr_nohash_2.jpg,y\n"
    )
    np.save("clip.npy", X)
    table = imported("clip.npy --manifest m.csv")
    assert list(table.image) == ["a.jpg", "b.jpg", "r_nohash_1.jpg", "r_nohash_2.jpg"]
    assert list(table.group) == [None, None, "r", "r"]
    assert rejects() == {
        "a.jpg": "listed in line 2, and again in line 4",
        "line 5": "the image column is empty",
    }


# -- what is done with them ---


@pytest.fixture
def clip() -> FeatureTable:
    """80 rows of two labels, the last a copy of row 5."""
    rng = np.random.default_rng(1)
    label = np.repeat(["ant", "bee"], 40)
    vectors = rng.normal(size=(80, 64)) + (label == "bee")[:, None]
    vectors[79] = vectors[5]
    given = pd.DataFrame({"image": [f"{i}.jpg" for i in range(80)], "label": label, "e": list(vectors)})
    table = FeatureTable.from_frame(given.assign(age=range(80)), {"clip": "e"}, keep=["age"])
    table.write("clip.parquet")
    return table


def test_comparison_report_and_methods_paragraph_say_that_the_origin_is_unknown(clip):
    done = run("evaluate compare clip.parquet --heads softmax --report r.html --json r.json")
    assert done.status == 0 and UNKNOWN in done.out + done.err
    assert UNKNOWN in words_of_page(Path("r.html").read_text())
    content = json.loads(Path("r.json").read_text())
    assert "clip (64 numbers; imported, its making unknown)" in content["methods_paragraph"]["text"]
    assert [row["features"] for row in content["results"]] == ["clip"]


@pytest.mark.parametrize("scale", [1, 1e30])
def test_copies_are_found_by_imported_vectors_however_large_their_numbers(clip, scale):
    FeatureTable(clip.ids, {"clip": clip.select("clip") * np.float32(scale)}, clip.metadata).write("t.npz")
    done = run("evaluate duplicates t.npz")
    assert "every pair compared by clip" in done.out and "Warning" not in done.err
    assert done.out.splitlines()[-1].split()[:3] == ["1.0000", "5.jpg", "79.jpg"]


def test_a_model_of_imported_vectors_predicts_a_table_and_says_what_a_photo_lacks(clip):
    assert run("classify train clip.parquet -o m.model").status == 0
    done = run("classify predict m.model clip.parquet --format csv")
    answers = [line.split(",")[1] for line in done.out.splitlines()[1:]]
    assert np.mean(np.array(answers) == clip.label) > 0.9
    write_photos(Path("photos"), ["a.png"])
    for words in (
        "classify predict m.model photos",
        "featurize extract photos --like clip.parquet -o n.parquet",
    ):
        done = run(words)
        assert (
            done.status == 1
            and "the features clip cannot be computed from photos here: they are imp" in done.error
        )
        assert "import-vectors" in done.hint and "--name clip" in done.hint
    FeatureTable.from_arrays({"other": X}).write("other.parquet")
    assert "--name clip" in run("classify predict m.model other.parquet").hint
