"""``--excel``: text that a spreadsheet would compute is guarded in every CSV, and our readers take the guard off."""

import csv
import json
from pathlib import Path

import numpy as np
import openpyxl
import pandas as pd
import pytest
from builders import described, run, write_photos

from classify import save_model, train_model
from featurize import FeatureTable

MARK = "\ufeff"
# Labels as people have them in chemistry, in forums, and in order to try us; the last begin as a guard would.
LABELS = ["=1+1", "+a", "-5", "@home", "'=x", "''-y", "'plain'", "rose"]
GUARDED = ["'=1+1", "'+a", "'-5", "'@home", "''=x", "'''-y", "'plain'", "rose"]


def cells(path: Path | str) -> list[list[str]]:
    with open(path, encoding="utf-8", newline="") as stream:
        return list(csv.reader(stream))


@pytest.fixture
def table(tmp_path, monkeypatch) -> FeatureTable:
    monkeypatch.chdir(tmp_path)
    y = np.repeat(LABELS, 6)
    X = np.random.default_rng(0).normal(size=(48, 8)) + 6 * np.eye(8)[np.arange(48) // 6]
    image = [f"={i}.jpg" for i in range(48)]
    sha = [f"{i:064x}" for i in range(48)]
    found = described(FeatureTable.from_arrays({"x": X}, label=y, image=image, sha256=sha))
    found.write("t.parquet")
    save_model(train_model(found, "softmax", jobs=1), "m.model")
    return found


def test_predictions_of_a_model_are_guarded_and_come_back_as_a_manifest(table):
    plain = run("classify predict m.model t.parquet --top 0 -o plain.csv")
    excel = run("classify predict m.model t.parquet --top 0 -o excel.csv --excel")
    assert plain.status == excel.status == 0, excel.err
    before, after = cells("plain.csv"), cells("excel.csv")
    assert after[0][0] == f"{MARK}image" and not before[0][0].startswith(MARK)
    order = [GUARDED[LABELS.index(label)] for label in before[0][4:]]
    assert after[0][4:] == order and sorted(before[0][4:]) == sorted(LABELS)
    assert [row[:2] for row in after[1:]] == [
        [f"'={i}.jpg", GUARDED[LABELS.index(before[1 + i][1])]] for i in range(48)
    ]
    assert [row[2:] for row in after[1:]] == [row[2:] for row in before[1:]]  # numbers stay numbers
    printed = run("classify predict m.model t.parquet --top 0 --format csv --excel")
    assert printed.out == Path("excel.csv").read_text(encoding="utf-8")
    np.save("v.npy", table.select("x"))
    done = run("featurize import-vectors v.npy --manifest excel.csv -o back.parquet")
    assert done.status == 0, done.err
    back = FeatureTable.read("back.parquet")
    assert back.image.tolist() == table.image.tolist()
    assert back.label.tolist() == [row[1] for row in before[1:]] and set(back.label) == set(LABELS)


def test_a_guarded_manifest_that_a_spreadsheet_kept_as_its_own_file_is_read_as_it_was_meant(table):
    np.save("v.npy", table.select("x"))
    run("classify predict m.model t.parquet -o excel.csv --excel")
    book = openpyxl.Workbook()
    for row in cells("excel.csv"):
        book.active.append([cell.removeprefix(MARK) for cell in row])
    book.save("kept.xlsx")
    text = Path("excel.csv").read_text(encoding="utf-8-sig")
    Path("unicode.csv").write_text(text.replace(",", "\t"), encoding="utf-16")
    for name in ("kept.xlsx", "unicode.csv"):
        assert run(f"featurize import-vectors v.npy --manifest {name} -o back.parquet").status == 0
        assert set(FeatureTable.read("back.parquet").label) == set(LABELS), name


def test_a_file_without_a_byte_order_mark_means_what_it_says(table):
    np.save("v.npy", table.select("x"))
    lines = ["image,label", *(f"{i}.jpg,'={i % 2}" for i in range(48))]
    Path("photos.csv").write_text("\n".join(lines))
    assert run("featurize import-vectors v.npy --manifest photos.csv -o back.parquet").status == 0
    assert set(FeatureTable.read("back.parquet").label) == {"'=0", "'=1"}


def test_out_of_fold_predictions_and_folds_are_guarded(table):
    words = "evaluate compare t.parquet --heads softmax --cv 3 -j 1"
    for name, more in (("plain.csv", ""), ("excel.csv", "--excel")):
        done = run(f"{words} --predictions {name} --json r.json {more}")
        assert done.status == 0, done.err
    before, after = cells("plain.csv"), cells("excel.csv")
    guarded = dict(zip(LABELS, GUARDED, strict=True))
    assert [row[1] for row in after[1:]] == [guarded[row[1]] for row in before[1:]]
    numbers = [i for i, name in enumerate(before[0]) if name.startswith("probability:") or name == "fold"]
    assert [[row[i] for i in numbers] for row in after] == [[row[i] for i in numbers] for row in before]
    frame = pd.read_csv("excel.csv")
    assert {"image", "label"} <= set(frame.columns) and frame["fold"].dtype.kind == "i"
    for more in ("", "--excel"):
        done = run(f"evaluate split t.parquet --cv 3 -o folds{more}.csv {more}")
        assert done.status == 0, done.err
        run(f"evaluate compare t.parquet --heads softmax --folds folds{more}.csv -j 1 --json f{more}.json")
    assert cells("folds--excel.csv")[0] == [f"{MARK}sha256", "fold"]
    digests = [json.loads(Path(f"f{more}.json").read_text())["folds"]["digest"] for more in ("", "--excel")]
    assert digests[0] == digests[1]


def test_maps_and_costs_written_for_a_spreadsheet_are_read_as_they_were_meant(table):
    def written(name, *columns):
        rows = [",".join(cells) for cells in zip(*columns, strict=True)]
        Path(name).write_text(MARK + "\n".join(rows) + "\n", encoding="utf-8")

    written("map.csv", ["label", *GUARDED], ["new_label", *(["'=one"] * 4), *(["two"] * 4)])
    assert run("classify train t.parquet -o n.model --relabel map.csv").status == 0
    assert "=one" in (card := run("classify show n.model").out) and "'=one" not in card
    written("super.csv", ["label", *GUARDED], ["superclass", *(["'-a"] * 4), *(["b"] * 4)])
    done = run("evaluate test m.model t.parquet --superclass super.csv --json r.json")
    assert done.status == 0, done.err
    written("costs.csv", ["label", "'=one", "two"], ["predicted", "two", "'=one"], ["cost", "5", "1"])
    words = "--relabel map.csv --positive =one --costs costs.csv"
    done = run(f"classify train t.parquet -o n.model {words}")
    assert done.status == 0 and "=one from probability" in done.err, done.err


def test_rejects_are_guarded(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_photos(tmp_path / "photos" / "a", ["1.png", "2.png"])
    (tmp_path / "photos" / "=b").mkdir()
    (tmp_path / "photos" / "=b" / "3.png").write_bytes(b"no photo")
    words = "featurize extract photos --features color -o t.parquet -j 1"
    assert run(f"{words} --excel").status == 0
    assert cells("t.rejects.csv")[:2][0] == [f"{MARK}image", "reason"]
    assert cells("t.rejects.csv")[1][0] == "'=b/3.png"
    assert run(words).status == 0 and cells("t.rejects.csv")[1][0] == "=b/3.png"


@pytest.mark.parametrize(
    "words",
    [
        "classify predict m.model t.parquet --excel",
        "classify predict m.model t.parquet --excel -o p.parquet",
        "evaluate compare t.parquet --excel",
        "evaluate compare t.parquet --excel --predictions p.parquet",
        "evaluate split t.parquet --excel -o divided.parquet",
    ],
)
def test_where_no_csv_is_written_the_option_is_refused(table, words):
    done = run(words)
    assert done.status == 2 and "--excel is for CSV, and none is written" in done.error
