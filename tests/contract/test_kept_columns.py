"""Further columns of a manifest, such as age and site, stay in the table and are never features; a table is sliced."""

import json
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from builders import made_table, run, write_photos

from featurize import BottleheadError, FeatureTable, extract


@pytest.fixture
def manifest(tmp_path, monkeypatch) -> str:
    monkeypatch.chdir(tmp_path)
    write_photos(Path(), [f"{i}.png" for i in range(4)])
    lines = ["image,label,Age,site", "0.png,a,30,N", "1.png,b,,S", "2.png,a,32,N", "3.png,b,33,"]
    Path("m.csv").write_text("\n".join(lines))
    return "featurize extract m.csv --features color --store s -o t.parquet"


def kept_table(n_rows: int = 60) -> FeatureTable:
    """A table that keeps a column which gives the label away, and one named as no features are."""
    table = made_table(n_rows)
    given = table.to_frame().assign(truth=table.label, row=np.arange(n_rows))
    features = {"good": "good_*", "noise": "noise_*"}
    return FeatureTable.from_frame(given, features, keep=["truth", "row"])


def without(table: FeatureTable) -> FeatureTable:
    return FeatureTable(table.ids.drop_columns(table.kept), table.vectors, table.metadata)


@pytest.mark.parametrize("ending", ["parquet", "npz"])
def test_extract_keeps_the_columns_that_are_asked_for(manifest, ending):
    done = run(manifest.replace("parquet", ending) + " --keep age,site --distort 1 --flip-left-right")
    assert done.status == 0 and "kept age, site" in done.err, done.err
    table = FeatureTable.read(f"t.{ending}")
    photos = table[table.variant == 0]
    assert photos.kept == ["age", "site"] and list(photos["age"]) == ["30", None, "32", "33"]
    assert list(photos["site"]) == ["N", "S", "N", None] and len(table) == 8
    assert "; kept age, site" in repr(table)
    assert list(table.to_frame().columns[10:12]) == ["phash", "age"]
    batch = next(FeatureTable.read_batches(f"t.{ending}"))
    assert batch.kept == table.kept


def test_python_keeps_them_too_and_they_change_no_digest(manifest):
    table = extract("m.csv", "color", store="s", keep=["site"])
    assert list(table["site"]) == ["N", "S", "N", None]
    assert table.digest() == extract("m.csv", "color", store="s").digest()


@pytest.mark.parametrize(("words", "error", "hint"), [
    ("--keep sex", "no columns named 'sex'", "'image', 'label', 'Age', 'site'"),
    ("--keep label", "'label' cannot be kept", "image, sha256"),
    ("--keep site,site", "'site' cannot be kept", "each once"),
    ("--keep color --columns label=", "no columns named 'color'", "'site'"),
])  # fmt: skip
def test_a_column_that_cannot_be_kept_is_an_error_that_lists_those_there_are(manifest, words, error, hint):
    done = run(f"{manifest} {words}")
    assert done.status == 1 and error in done.error and hint in done.hint


def test_features_and_a_kept_column_of_one_name_are_refused_before_anything_is_computed(manifest):
    Path("m.csv").write_text("image,color\n0.png,red\n")
    done = run(f"{manifest} --keep color")
    assert done.status == 1 and "color is a column to keep and features" in done.error
    assert not list(Path("s").glob("color-*"))
    done = run("featurize extract . --features color --store s -o t.parquet --keep age")
    assert done.status == 1 and "only manifests have columns" in done.error


def test_two_lines_of_one_photo_that_keep_different_values_contradict_each_other(manifest):
    Path("m.csv").write_text("image,age\n0.png,30\n0.png,31\n1.png,\n1.png,5\n")
    assert "0.png has the age 30 in line 2, and 31 in line 3" in run(f"{manifest} --keep age").error
    Path("m.csv").write_text("image,age\n1.png,\n1.png,5\n")
    assert run(f"{manifest} --keep age").status == 0
    assert list(FeatureTable.read("t.parquet")["age"]) == ["5"]


def test_heads_comparisons_and_duplicates_do_not_see_them(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    kept_table().write("kept.parquet")
    without(kept_table()).write("plain.parquet")
    found = {}
    for name in ("kept", "plain"):
        assert run(f"evaluate compare {name}.parquet --heads softmax --json {name}.json").status == 0
        rows = json.loads(Path(f"{name}.json").read_text())["results"]
        found[name] = [(row["features"], row["accuracy"], row["log_loss"]) for row in rows]
        assert run(f"classify train {name}.parquet -o {name}.model").status == 0
        found[name].append(run(f"classify predict {name}.model kept.parquet --format csv").out)
        found[name].append(run(f"evaluate duplicates {name}.parquet").out)
    assert found["kept"] == found["plain"] and len(found["kept"]) == 5


def test_what_is_done_with_a_table_keeps_them(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    table = kept_table()
    table.write("t.parquet")
    assert run("evaluate split t.parquet -o s.parquet").status == 0
    frame = pq.read_table("t.parquet").to_pandas()
    frame["truth"] = frame["truth"].str.upper()
    frame[frame.label != "bee"].to_parquet("edited.parquet")
    assert run("featurize adopt edited.parquet --like t.parquet -o a.parquet").status == 0
    adopted = FeatureTable.read("a.parquet")
    assert list(adopted["truth"]) == ["ANT", "CAT"] * 20 and adopted.kept == ["truth", "row"]
    relabelled = table.relabel({"ant": "x", "bee": "y", "cat": None})
    rows = [str(i) for i in range(60) if i % 3 < 2]
    assert list(relabelled["row"]) == rows and list(table.with_column("row", range(60))["row"])[7] == "7"
    assert list(FeatureTable.read("s.parquet")["truth"]) == list(table.label)
    other = FeatureTable.from_arrays({"more": np.eye(60)}, image=table.image, sha256=table.sha256)
    assert table.join(other).kept == ["truth", "row"]
    further = made_table(30, start=100).to_frame()
    FeatureTable.from_frame(further, {"good": "good_*"}).write("test.parquet")  # which keeps none
    done = run("evaluate compare t.parquet --test test.parquet --heads softmax --features good")
    assert done.status == 0, done.err


@pytest.mark.parametrize("ending", ["parquet", "npz"])
def test_a_program_that_knows_no_kept_columns_reads_the_table_or_says_why_not(tmp_path, ending):
    path = tmp_path / f"t.{ending}"
    kept_table().write(path)
    if ending == "parquet":  # it takes the columns that it knows, and the version is the one it reads
        about = json.loads(pq.read_schema(path).metadata[b"featurize"])
        assert about["format_version"] == 1 and about["kept"] == ["truth", "row"]
        strings = pq.read_schema(path).field("truth")
        assert strings.type == pa.string()
    else:  # it would take them for vectors, and refuses the version
        about = json.loads(str(np.load(path)["featurize"]))
        assert about["format_version"] == "1 with kept columns"
    without(kept_table()).write(path)
    text = str(np.load(path)["featurize"]) if ending == "npz" else pq.read_schema(path).metadata[b"featurize"]
    assert json.loads(text)["format_version"] == 1 and "kept" not in json.loads(text)


def test_a_table_that_lost_a_kept_column_on_its_way_is_read_without_it(tmp_path):
    kept_table().write(tmp_path / "t.parquet")
    stored = pq.read_table(tmp_path / "t.parquet")
    pq.write_table(stored.drop_columns(["row"]), tmp_path / "t.parquet")
    assert FeatureTable.read(tmp_path / "t.parquet").kept == ["truth"]


@pytest.mark.parametrize(
    "kept", [["image"], "truth", [1], ["truth", "truth"], ["good"], ["featurize"], ["a\nb"]]
)
@pytest.mark.parametrize("ending", ["parquet", "npz"])
def test_a_file_that_says_nonsense_of_its_kept_columns_is_refused(tmp_path, ending, kept):
    path = tmp_path / f"t.{ending}"
    kept_table().write(path)
    if ending == "parquet":
        stored = pq.read_table(path)
        about = json.loads(stored.schema.metadata[b"featurize"]) | {"kept": kept}
        stored = stored.append_column("a\nb", stored["truth"])
        pq.write_table(stored.replace_schema_metadata({"featurize": json.dumps(about)}), path)
    else:
        arrays = dict(np.load(path))
        about = json.loads(str(arrays["featurize"])) | {"kept": kept}
        np.savez(path, **arrays | {"featurize": np.array(json.dumps(about)), "a\nb": arrays["truth"]})
    with pytest.raises(BottleheadError) as caught:
        FeatureTable.read(path)
    assert caught.value.hint


# -- a table as others take it ---


def test_rows_and_columns_are_picked_as_from_an_array():
    table = kept_table(9)
    assert list(table[:5].image) == list(table.image[:5]) and list(table[-1].image) == [table.image[-1]]
    assert list(table[table["label"] == "bee"]["row"]) == ["1", "4", "7"]
    assert list(table[[3, 0]].image) == list(table.image[[3, 0]]) and len(table[[]]) == 0
    assert list(table[::-2].variant) == [0] * 5
    np.testing.assert_array_equal(table["good+noise"], table.select("good+noise"))
    assert list(table["phash"]) == [None] * 9 and list(table["truth"]) == list(table.label)


@pytest.mark.parametrize("key", ["lable", ["label"], [True], [0.5]])
def test_what_picks_nothing_is_an_error_that_says_what_there_is(key):
    with pytest.raises(BottleheadError) as caught:
        kept_table(9)[key]
    assert caught.value.hint
    assert key != "lable" or "truth" in caught.value.hint


def test_a_row_beyond_the_table_is_an_index_error_and_a_table_is_no_list():
    table = kept_table(9)
    with pytest.raises(IndexError):
        table[9]
    with pytest.raises(TypeError):
        list(table)


def test_arrow_polars_duckdb_and_pandas_take_a_table_as_it_is(tmp_path):
    table_ = kept_table(9)
    table_.write(tmp_path / "t.parquet")
    assert pa.table(table_).equals(pq.read_table(tmp_path / "t.parquet"))
    assert pl.DataFrame(table_)["good"].to_numpy().tolist() == table_["good"].tolist()
    assert pl.DataFrame(table_).columns == pq.read_schema(tmp_path / "t.parquet").names
    found = duckdb.sql("select min(truth), max(good[1]) from table_").fetchall()
    assert found == [("ant", table_["good"][:, 0].max())]
    frame = table_.to_frame()
    assert isinstance(frame, pd.DataFrame) and list(frame["truth"]) == list(table_.label)
    pq.write_table(pa.table(table_[:4]), tmp_path / "part.parquet")
    again = FeatureTable.read(tmp_path / "part.parquet")
    assert again.digest() == table_[:4].digest() and again.kept == table_.kept
