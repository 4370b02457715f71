"""Files that an earlier program wrote are read, used and written as then.

``files/make.py`` says what is in ``files/kept.zip`` and how it was made. Classical features and probabilities are
compared with tolerances, since the files may have been made on another processor and with other libraries.
"""

import csv
import importlib.util
import json
import re
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from builders import run

from classify import load_model
from featurize import FeatureTable

FILES = Path(__file__).parent / "files"
FEATURES = ["glcm", "glcm:haralick", "color", "lbp"]
VECTORS = 1e-5  # of a classical feature across processors, relative to its size
PROBABILITY = 1e-4  # across processors
SCORE = 2e-3  # what follows from such probabilities: log loss, p values, ends of intervals
UNLIKE = {"versions", "model_bytes"}
SAID_OTHERWISE = {
    r"(\S+ %) better, (\S+ %) practically the same \(within 1 point\), (\S+ %) worse": (
        r"\1 probability that the first is better by more than 1 point, \2 that neither is, \3 that the second is"
    ),
    r"(nd Price \d+)\), made": r"\1, centred on the difference with half a photo added on either side), made",
    r"share training photos$": "share training photos (1.5 was set by simulation)",
}
SAID_SINCE = (
    "photos decoded by version 1; "  # of the methods paragraph, which is no older than the second version
)
NUMBER = re.compile(r"-?\d+(\.\d+)*")

spec = importlib.util.spec_from_file_location("make_kept_files", FILES / "make.py")
make = importlib.util.module_from_spec(spec)
spec.loader.exec_module(make)
each_model = pytest.mark.parametrize("name", make.MODELS)


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("kept")
    zipfile.ZipFile(FILES / "kept.zip").extractall(folder)
    zipfile.ZipFile(FILES / "kept-oldest.zip").extractall(folder / "oldest")
    zipfile.ZipFile(FILES / "kept-plain.zip").extractall(folder / "plain")
    return folder


@pytest.fixture(autouse=True)
def kept(unpacked, monkeypatch) -> Path:
    """The folder of the kept files, which is the current folder: names in the files start there."""
    monkeypatch.chdir(unpacked)
    return unpacked


def done(words: str):
    outcome = run(words)
    assert outcome.status == 0, outcome.err
    return outcome


def skip_where_newer_heads_do_not_load(name: str) -> None:
    """Softmax of a newer scikit-learn lacks an attribute that LogisticRegression asked for until 1.7."""
    from sklearn.linear_model import LogisticRegression

    if name in ("softmax", "threshold") and hasattr(LogisticRegression(), "multi_class"):
        pytest.skip("this scikit-learn cannot use a LogisticRegression that a newer one fitted")


def rows_of(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(path.read_text(encoding="utf-8").splitlines()))


def assert_same_table(found: FeatureTable, expected: FeatureTable, tolerance: float = 0) -> None:
    """Identifying columns are equal, but for hashes that were not written then; vectors within the tolerance."""
    assert (
        found.ids.select(expected.ids.column_names).equals(expected.ids)
        and found.features == expected.features
    )
    for name in expected.features:
        numbers = found.select(name), expected.select(name)
        np.testing.assert_allclose(*numbers, rtol=tolerance, atol=tolerance, err_msg=name)


def test_the_kept_files_take_at_most_500_kb():
    assert sum(path.stat().st_size for path in FILES.iterdir() if path.is_file()) < 500_000


def test_a_kept_table_holds_what_was_written_in_both_formats(kept):
    table, other = FeatureTable.read(kept / "kept.parquet"), FeatureTable.read(kept / "kept.npz")
    made = json.loads((kept / "made.json").read_text())
    assert sorted(table.features) == sorted(FEATURES)
    assert len(table) == made["rows"] == 48 and sum(table.variant == 0) == 30
    assert table.digest() == other.digest() == made["digest"]
    for row, values in made["some"].items():
        for name, value in values.items():
            found = table.select(name).tolist() if name in FEATURES else table.column(name)
            assert found[int(row)] == value
    assert_same_table(other, table)
    assert table.metadata == other.metadata


def test_a_table_written_anew_has_the_kept_columns_types_and_metadata(kept, tmp_path):
    table = FeatureTable.read(kept / "kept.parquet")
    table.write(tmp_path / "again.parquet")
    table.write(tmp_path / "again.npz")
    schema = pq.read_schema(tmp_path / "again.parquet")
    assert schema.equals(pq.read_schema(kept / "kept.parquet"), check_metadata=True)
    again, before = np.load(tmp_path / "again.npz"), np.load(kept / "kept.npz")
    assert again.files == before.files
    for name in before.files:
        assert again[name].dtype == before[name].dtype
        np.testing.assert_array_equal(again[name], before[name])


def test_a_bottleneck_folder_gives_the_kept_table(kept, tmp_path):
    done(f"featurize import-bottlenecks bottlenecks -o {tmp_path}/again.parquet")
    before = FeatureTable.read(kept / "imported.parquet")
    assert before.select("inception_v3")[0].tolist() == [0.5, 0.25, -1, 0.0625]
    assert_same_table(FeatureTable.read(tmp_path / "again.parquet"), before)


def extracted(store: Path, output: Path) -> tuple[str, FeatureTable]:
    """What `featurize extract` says of the kept photos, and the table."""
    words = f"--store {store} --like kept.parquet {make.DISTORTION} -o {output}"
    return done(f"featurize extract photos.csv {words}").err, FeatureTable.read(output)


def test_a_kept_store_is_whole_and_spares_every_computation(kept, tmp_path):
    shutil.copytree(kept / "store", tmp_path / "store")
    said, again = extracted(tmp_path / "store", tmp_path / "again.parquet")
    assert "nothing was computed, all vectors came from the store" in said
    assert_same_table(again, FeatureTable.read(kept / "kept.parquet"))
    outcome = done(f"featurize store verify --store {tmp_path}/store")
    # features, fingerprint, whole shards, damaged ones
    assert [line.split()[-2:] for line in outcome.out.splitlines()[1:5]] == [["2", "0"]] * 4


def test_vectors_computed_anew_are_the_kept_ones(kept, tmp_path):
    said, again = extracted(tmp_path / "store", tmp_path / "again.parquet")
    assert "all were computed" in said
    before = FeatureTable.read(kept / "kept.parquet")
    assert_same_table(again, before, VECTORS)
    for name in FEATURES:
        entry, entry_before = (t.metadata["features"][name] for t in (again, before))
        assert entry["fingerprint"] == entry_before["fingerprint"]
        assert entry["description"] == entry_before["description"]
    assert again.metadata["distortion"] == before.metadata["distortion"]


def compare_predictions(kept_rows: list[dict[str, str]], rows: list[dict[str, str]], cut: float | None):
    """Rows of two CSV files of predictions are equal, but for labels that a hair's breadth decides."""
    assert [row["image"] for row in rows] == [row["image"] for row in kept_rows]
    labels = list(kept_rows[0])[4:]
    assert list(rows[0])[4:] == labels
    before = np.array([[float(row[label]) for label in labels] for row in kept_rows])
    after = np.array([[float(row[label]) for label in labels] for row in rows])
    np.testing.assert_allclose(after, before, rtol=0, atol=PROBABILITY)
    ordered = np.sort(before, axis=1)
    margin = np.abs(before[:, 0] - cut) if cut else ordered[:, -1] - ordered[:, -2]
    clear = margin > 2 * PROBABILITY
    assert clear.mean() > 0.9
    for index in np.flatnonzero(clear):
        assert rows[index]["label"] == kept_rows[index]["label"], rows[index]


@each_model
@pytest.mark.parametrize("source", ["table", "new"])
@pytest.mark.parametrize("folder", [".", "oldest"])
def test_a_kept_model_predicts_as_it_did(name, source, folder, kept, tmp_path):
    if folder == ".":
        skip_where_newer_heads_do_not_load(name)
    photos = {"table": "kept.parquet", "new": "new"}[source]
    words = f"{photos} --top 0 --store {tmp_path}/store -o {tmp_path}/again.csv"
    done(f"classify predict {folder}/{name}.model {words}")
    shown = done(f"classify show {folder}/{name}.model").out
    labels = {"moss": 8, "other": 16} if name == "threshold" else {"bark": 8, "moss": 8, "sand": 8}
    for label, count in labels.items():
        assert re.search(rf"^  {label} +{count} training photos$", shown, re.MULTILINE)
    # The operating point stands on the model's card: "moss from probability 0.2285 on".
    found = re.search(r"from probability ([\d.]+)", shown)
    assert bool(found) == (name == "threshold")
    rows, kept_rows = rows_of(tmp_path / "again.csv"), rows_of(kept / folder / f"{name}.{source}.csv")
    assert len(kept_rows) == {"table": 30, "new": 9}[source]
    compare_predictions(kept_rows, rows, float(found.group(1)) if found else None)
    differ = sum(one["outlier"] != other["outlier"] for one, other in zip(rows, kept_rows, strict=True))
    assert differ <= {"table": 1, "new": 0}[source]  # a training photo may lie on the border itself


@pytest.mark.parametrize("name", make.PLAIN_MODELS)
def test_plain_arrays_of_scikit_learn_1_9_say_what_its_heads_said(name, kept):
    """With any version of scikit-learn, by NumPy; that it was another one is said once."""
    from importlib.metadata import version

    table = FeatureTable.read("kept.parquet")
    said = np.load(kept / "plain" / "probabilities.npz")[name]
    model = load_model(kept / "plain" / f"{name}.model")
    X = table.select(model.features).astype(np.float64)
    np.testing.assert_allclose(model.predict_proba(X), said, rtol=0, atol=1e-6)
    assert said.std() > 0.05 and said.shape[1] == (2 if name == "svm-of-two" else 3)
    outcome = done(f"classify predict plain/{name}.model kept.parquet kept.npz --top 0")
    other = version("scikit-learn") != "1.9.1"
    assert outcome.err.count("was trained with scikit-learn 1.9.1, and here is") == other


def parts_of(model: Path) -> tuple[list[str], dict, set[str]]:
    """What is in a model: the names of its parts, its model.json, and the addresses of our own types in its head."""
    with zipfile.ZipFile(model) as archive:
        with zipfile.ZipFile(archive.open("head.skops")) as head:
            schema = head.read("schema.json").decode()
        described = json.loads(archive.read("model.json"))
        own = set(re.findall(r'"__module__": "((?:featurize|classify|evaluate)[\w.]*)"', schema))
        return archive.namelist(), described, own


@each_model
def test_a_model_trained_anew_is_written_as_the_kept_one(name, kept, tmp_path):
    done(f"classify train kept.parquet -o {tmp_path}/again.model {make.MODELS[name]} --jobs 1")
    parts, described, own = parts_of(kept / f"{name}.model")
    again_parts, again, again_own = parts_of(tmp_path / "again.model")
    assert again_parts == parts == ["model.json", "outliers.f2", "head.skops"]
    assert again_own == own
    assert "classify.scaling" in own
    # Since they were written, heads that plain arrays can express stand in the file as such, too, and so does what an
    # operating point promises; dates have gone.
    new = ("plain", "operating_point_expected")
    assert [key for key in again if key not in new] == list(described)
    assert ("plain" in again) == (again["protocol"] == 2) == (name not in ("naive-bayes", "knn"))
    for key in "definitions described features labels relabel seen widths".split():
        assert_same(again.get(key), described.get(key), VECTORS, key)
    assert again["training"].keys() == described["training"].keys() - {"date", "seconds"}
    assert again["outliers"].keys() == described["outliers"].keys()


def assert_same(found, expected, tolerance: float, where: str = "result") -> None:
    """Keys, lengths, types and words are equal, numbers within the tolerance; those in texts stand in fields too."""
    assert type(found) is type(expected), where
    if isinstance(expected, dict):
        assert list(found) == list(expected), where
        for key in found.keys() - UNLIKE:
            assert_same(found[key], expected[key], tolerance, f"{where}.{key}")
    elif isinstance(expected, list):
        assert len(found) == len(expected), where
        for index, (one, other) in enumerate(zip(found, expected, strict=True)):
            assert_same(one, other, tolerance, f"{where}.{index}")
    elif isinstance(expected, str) and " " in expected:
        for before, since in SAID_OTHERWISE.items():
            expected = re.sub(before, since, expected)
        assert NUMBER.sub("#", found.replace(SAID_SINCE, "")) == NUMBER.sub("#", expected), where
    else:
        near = pytest.approx(expected, tolerance, tolerance) if isinstance(expected, float) else expected
        assert found == near, where


def since_then(again: dict, before: dict) -> None:
    """Take out what is meant to be otherwise: folds are described, and McNemar's test counts whole groups.

    Photos to calibrate on are drawn by our own algorithm, so what follows from the probabilities of the calibrated
    naive Bayes is not compared.
    """
    assert again.pop("borders") == []
    assert set(again["folds"]) - set(before["folds"]) == {"digest", "base_rate"}
    del again["folds"], again["best"]["hardest"], again["methods"]["mcnemar"]
    del before["folds"], before["best"]["hardest"], before["methods"]["mcnemar"]
    for pair, old in zip(again["comparisons"], before["comparisons"], strict=True):
        assert pair.pop("base_rate") is None
        test, of_photos = pair.pop("mcnemar"), old.pop("mcnemar")
        assert all(test[key] == of_photos[key] for key in ("only_one_right", "only_other_right"))
        assert pair.pop("accuracy_difference") == pytest.approx(pair["difference"])
    for rows in (again["results"], before["results"]):
        for row in rows:
            if row["head"] == "naive-bayes":
                for key in ("log_loss", "brier", "calibration_error", "reliability", "one_vs_rest"):
                    assert row.pop(key)
                del row["roc_auc"], row["average_precision"]


@pytest.mark.parametrize("name", ["compare", "test"])
def test_a_result_made_anew_has_the_keys_and_numbers_of_the_kept_one(name, kept):
    """The folds of that day, which scikit-learn made, stand in a file that its program wrote."""
    before = json.loads((kept / f"{name}.json").read_text(encoding="utf-8"))
    shutil.copy(FILES / "kept-folds.csv", kept)
    words = before["command"].replace(f"{name}.json", f"{name}-again.json")
    words = words.replace("--cv 3", "--folds kept-folds.csv")
    assert f"--json {name}-again.json" in words
    done(words)
    again = json.loads((kept / f"{name}-again.json").read_text(encoding="utf-8"))
    assert (again.pop("format_version"), before.pop("format_version")) == (3 if name == "compare" else 2, 1)
    this_run = again.pop("run")
    assert this_run.pop("date") and this_run.pop("command") == words and before.pop("command")
    # The seconds stood beside the scores.
    rows = zip(before.get("results", [before]), this_run.get("results", [this_run]), strict=True)
    for row, seconds in rows:
        assert [row.pop(key) for key in seconds if key.endswith(("seconds", "image"))]
    # Further questions, which were not asked.
    assert again.pop("per_group") is again.pop("corrections") is None
    # So were the intervals of what is ranked and found.
    assert again["methods"].pop("ranking")
    assert all(row.pop("intervals") for row in again.get("results", [again]))
    again.pop("expected", None)
    # And what a head is, whatever it is called.
    assert all(row.pop("classifier") == row["head"] for row in again.get("results", []))
    del again["methods_paragraph"], before["methods_paragraph"]  # it tells of them
    if name == "compare":
        since_then(again, before)
    assert_same(again, before, SCORE)
