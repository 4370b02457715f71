"""Tables that other programs wrote back: adopted with their provenance, or refused where they hold something else."""

from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from builders import noise, run

from featurize import FeatureTable, extract


@pytest.fixture(scope="module")
def extracted(tmp_path_factory) -> FeatureTable:
    folder = tmp_path_factory.mktemp("adopt")
    for label in "ab":
        (folder / "photos" / label).mkdir(parents=True)
        for number in range(4):
            noise(20, 16, 10 * number + (label == "a")).save(folder / "photos" / label / f"{number}.png")
    return extract(folder / "photos", ["glcm", "lbp"], store=folder / "store")


@pytest.fixture(autouse=True)
def table(extracted, tmp_path, monkeypatch) -> FeatureTable:
    monkeypatch.chdir(tmp_path)
    extracted.write("t.parquet")
    return extracted


def by_pandas() -> None:
    frame = pd.read_parquet("t.parquet").query("image != 'a/0.png'").assign(group=[1, 1, 2, 2, 3, 3, None])
    frame.to_parquet("edited.parquet")


def by_pandas_with_arrow() -> None:
    frame = pd.read_parquet("t.parquet", dtype_backend="pyarrow").iloc[1:]
    frame.assign(group=pd.Categorical([*"112233", None])).to_parquet("edited.parquet", index=False)


def by_polars() -> None:
    groups = pl.Series("group", [1, 1, 2, 2, 3, 3, None])
    pl.read_parquet("t.parquet").slice(1).with_columns(groups).write_parquet("edited.parquet")


def by_duckdb() -> None:
    group = 'case when n = 7 then null else cast((n + 1) // 2 as varchar) end as "group"'
    numbered = "select *, row_number() over (order by image) - 1 as n from 't.parquet'"
    query = f'select * exclude (n, "group"), {group} from ({numbered}) where n > 0 order by n'
    duckdb.sql(f"copy ({query}) to 'edited.parquet'")


def by_pyarrow() -> None:
    edited = pq.read_table("t.parquet").slice(1).replace_schema_metadata(None)
    place = edited.schema.get_field_index("group")
    pq.write_table(edited.set_column(place, "group", pa.array([*"112233", None])), "edited.parquet")


@pytest.mark.parametrize("write", [by_pandas, by_pandas_with_arrow, by_polars, by_duckdb, by_pyarrow])
def test_what_another_program_wrote_back_is_a_table_again(write, table):
    write()
    refused = run("classify train edited.parquet -o m.model --features glcm")
    if refused.status:  # pandas keeps what a table says of itself, and some keep the size of lists
        assert "featurize adopt edited.parquet --like TABLE.parquet -o NEW.parquet" in refused.hint
    done = run("featurize adopt edited.parquet --like t.parquet -o new.parquet")
    assert done.status == 0 and "7 of 8 rows" in done.err, done.err
    new, expected = FeatureTable.read("new.parquet"), table.filter(np.arange(1, 8))
    assert new.group.tolist() == [*"112233", None]
    assert new.digest() == expected.with_column("group", new.group).digest()
    assert new.metadata == table.metadata
    assert run("classify train new.parquet -o m.model --features glcm --head naive-bayes").status == 0


@pytest.mark.parametrize(
    "command", ["classify train edited.parquet -o m.model", "evaluate compare edited.parquet"]
)
def test_the_errors_of_a_table_that_lost_something_name_the_command(command):
    by_polars()
    done = run(command)
    assert (
        done.status == 1 and "featurize adopt edited.parquet --like TABLE.parquet -o NEW.parquet" in done.hint
    )


def changed(frame: pd.DataFrame, row: int, name: str, value) -> pd.DataFrame:
    frame.at[row, name] = value
    return frame


@pytest.mark.parametrize(
    ("edit", "error"),
    [
        (lambda f: changed(f, 2, "lbp", f.lbp[2] + np.float32(1e-6)),
         "1 vector of lbp was changed, the first is that of a/2.png"),
        (lambda f: f.assign(glcm=f.glcm.to_numpy()[::-1]), "8 vectors of glcm were changed"),
        (lambda f: changed(f, 0, "glcm", f.glcm[0][:4]), "glcm does not hold the vectors"),
        (lambda f: changed(f, 0, "glcm", None), "glcm does not hold the vectors"),
        (lambda f: f.assign(glcm=1.5), "glcm does not hold the vectors"),
        (lambda f: f.assign(sha256=f.sha256[::-1].to_numpy()), "8 rows of edited.parquet are not in the table"),
        (lambda f: changed(f, 3, "image", "new.png"), "not in the table that it is like, the first is new.png"),
        (lambda f: pd.concat([f, f[:2]]), "2 rows come more than once"),
        (lambda f: pd.concat([f, f[:1]]), "1 row comes more than once"),
        (lambda f: f.drop(columns="image"), "no column image"),
        (lambda f: f.drop(columns=["glcm", "lbp"]), "no vectors"),
        (lambda f: f.assign(split="practice"), "a split is called practice"),
        (lambda f: f.assign(label=1.5), "the column label holds double"),
    ],
)  # fmt: skip
def test_what_is_no_longer_the_table_is_refused(edit, error):
    edit(pd.read_parquet("t.parquet")).to_parquet("edited.parquet")
    done = run("featurize adopt edited.parquet --like t.parquet -o new.parquet")
    assert done.status == 1 and error in done.error and done.hint
    assert not Path("new.parquet").exists()


def test_rows_and_columns_may_go_and_others_are_named(table):
    frame = (
        pd.read_parquet("t.parquet")
        .iloc[[5, 0, 3]]
        .drop(columns=["lbp", "split", "sha256", "variant", "width"])
    )
    frame.assign(note="seen", label=["x", "", None]).to_parquet("edited.parquet")
    done = run("featurize adopt edited.parquet --like t.parquet -o new.npz")
    assert done.status == 0 and "left out note:" in done.err and "without the vectors of lbp" in done.err
    new = FeatureTable.read("new.npz")
    assert new.features == list(new.metadata["features"]) == ["glcm"] and new.label.tolist() == [
        "x",
        None,
        None,
    ]
    assert new.ids.select(["sha256", "width", "phash"]).equals(
        table.filter([5, 0, 3]).ids.select(["sha256", "width", "phash"])
    )


def test_what_is_no_parquet_or_not_there_is_one_error(tmp_path):
    Path("edited.parquet").write_text("image,label")
    for name, error in (
        ("edited.parquet", "cannot be read as Parquet"),
        ("none.parquet", "there is no file"),
    ):
        done = run(f"featurize adopt {name} --like t.parquet -o new.parquet")
        assert done.status == 1 and error in done.error and done.hint
