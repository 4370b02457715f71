"""`classify predict` and its functions: of what, in which form, and with which words."""

import csv
import dataclasses
import io
import json
import os
import re
import shutil

import numpy as np
import pyarrow.parquet as pq
import pytest
from builders import described, made_table, noise, run, write_textures
from PIL import Image
from sklearn.neighbors import NearestNeighbors

from classify import load_model, predict_batches, predict_images, predict_table, save_model, train_model
from featurize import BottleheadError, FeatureTable, extract


@pytest.fixture(scope="module")
def table() -> FeatureTable:
    return described(made_table(separation=3.0))


@pytest.fixture(scope="module")
def model(table):
    return train_model(table, "softmax", "good", jobs=1)


def test_a_table_is_predicted_as_the_head_predicts(model, table):
    result = predict_table(model, table.with_column("variant", [0, 3] * 30))  # copies are left out
    X = table.select("good")[::2]
    np.testing.assert_array_equal(result.probabilities, model.head.predict_proba(X))
    assert result.labels == ["ant", "bee", "cat"] and result.image == table.image[::2].tolist()
    assert result.label == np.array(result.labels)[result.probabilities.argmax(axis=1)].tolist()
    np.testing.assert_array_equal(result.confidence, result.probabilities.max(axis=1))
    assert (len(result), result.n_seen, result.rejects) == (30, 30, [])


def test_an_outlier_is_far_from_its_fifth_nearest_training_photo(model, table):
    """By hand: standardised vectors divided by the fourth root of their width, kept as float16."""
    vectors = {name: matrix.copy() for name, matrix in table.vectors.items()}
    vectors["good"][:3] = 30.0
    result = predict_table(model, FeatureTable(table.ids, vectors, table.metadata))
    X = table.select("good").astype(np.float64)
    centre, scale = X.mean(axis=0), X.std(axis=0) * 4**0.25
    known = NearestNeighbors(n_neighbors=5).fit(((X - centre) / scale).astype(np.float16))
    expected = known.kneighbors((vectors["good"] - centre) / scale)[0][:, -1]
    np.testing.assert_allclose(result.distance, expected, rtol=1e-3)
    assert result.outlier == (result.distance > model.outliers.threshold).tolist()
    assert result.outlier[:3] == [True] * 3 and sum(result.outlier[3:]) <= 5
    unknown = predict_table(dataclasses.replace(model, outliers=None), table)
    assert unknown.outlier == [None] * 60 and np.isnan(unknown.distance).all()


@pytest.fixture(scope="module")
def files(table, model, tmp_path_factory):
    """A folder with the model ``m``, its table as ``t.parquet`` and ``t.npz``, and an outlier as ``far.npz``."""
    folder = tmp_path_factory.mktemp("predict")
    save_model(model, folder / "m")
    table.write(folder / "t.parquet")
    table.write(folder / "t.npz")
    vectors, name = {"good": [[30.0, 1.0, 2.0, 3.0]]}, 'far,\n "away"\x1b[2J.jpg'
    one = FeatureTable.from_arrays(vectors, image=[name], sha256=["00" * 32])
    one.metadata["features"]["good"] = table.metadata["features"]["good"]
    one.write(folder / "far.npz")
    return folder


SECOND = ["label_2", "confidence_2"]
FURTHER = {None: [], 0: ["ant", "bee", "cat"], 2: SECOND, 99: [*SECOND, "label_3", "confidence_3"]}


@pytest.mark.parametrize("top", FURTHER)
def test_every_form_tells_the_same(top, files, tmp_path):
    words = ["classify", "predict", files / "m", files / "t.parquet", files / "far.npz"]
    words += [] if top is None else ["--top", str(top)]
    known = predict_images(load_model(files / "m"), [files / "t.parquet", files / "far.npz"])
    endings = {"text": "txt", "csv": "csv", "jsonl": "jsonl", "parquet": "parquet"}
    outputs = {form: tmp_path / f"p.{ending}" for form, ending in endings.items()}
    for form, output in outputs.items():
        output.touch()
        outcome = run(*words, "-o", output)
        assert outcome.status == 0 and outcome.out == ""
        assert f"wrote {output}: 61 predictions, {sum(known.outlier)} of them outliers" in outcome.err
        if form != "parquet":
            assert run(*words, "--format", form).out == output.read_text(encoding="utf-8")
    header, *lines = csv.reader(io.StringIO(outputs["csv"].read_text(encoding="utf-8"), newline=""))
    assert header == ["image", "label", "confidence", "outlier", *FURTHER[top]]
    objects = [json.loads(line) for line in outputs["jsonl"].read_text(encoding="utf-8").splitlines()]
    kept = pq.read_table(outputs["parquet"])
    assert kept.column_names == header
    text = outputs["text"].read_text(encoding="utf-8").splitlines()
    assert len(text) == 61
    run(*words, "--format", "text", "-o", tmp_path / "q.csv")
    assert (tmp_path / "q.csv").read_bytes() == outputs["text"].read_bytes()
    for row, (line, one, again) in enumerate(zip(lines, objects, kept.to_pylist(), strict=True)):
        best = sorted(zip(known.probabilities[row], known.labels, strict=True), reverse=True)
        shown = best[: {None: 1, 0: 3}.get(top, top)]
        cells = [str(cell) for p, label in shown[1:] for cell in (label, round(p, 6))]
        if top == 0:
            cells = [str(round(p, 6)) for p in known.probabilities[row]]
        confidence, flag = round(known.confidence[row], 6), known.outlier[row]
        assert line == [known.image[row], known.label[row], str(confidence), "yes" if flag else "no", *cells]
        assert one.pop("outlier") is flag is again.pop("outlier")
        assert [str(value) for value in again.values()] == line[:3] + line[4:]
        assert list(one["probabilities"].items()) == [(label, round(p, 6)) for p, label in shown]
        named = ", ".join(f"{label} {p:.4f}" for p, label in shown)
        assert text[row].endswith(f": {named}{' (outlier)' if flag else ''}")
    assert text[-1].startswith('far,\\n "away"\\x1b[2J.jpg: ')


def test_text_of_one_image_is_labels_best_first(files, model):
    known = predict_images(model, files / "far.npz")
    outcome = run("classify", "predict", files / "m", files / "far.npz")
    assert outcome.out == "".join(f"{label} {p:.4f}\n" for label, p in known.best(0))
    assert "this photo looks like nothing that the model was trained on" in outcome.err
    two = run("classify", "predict", files / "m", files / "far.npz", "--top", "2")
    assert two.out.splitlines() == outcome.out.splitlines()[:2]


def test_table_files_of_both_kinds_and_a_batch_that_looks_strange(files, model, table, tmp_path):
    twice = predict_images(model, [files / "t.parquet", files / "t.npz"])
    assert twice.label == 2 * predict_table(model, table).label
    assert "do not look like" not in run("classify", "predict", files / "m", files / "t.npz").err
    strange = {name: matrix + 20 for name, matrix in table.vectors.items()}
    FeatureTable(table.ids, strange, table.metadata).write(tmp_path / "strange.parquet")
    outcome = run("classify", "predict", files / "m", tmp_path / "strange.parquet")
    assert "these 60 photos do not look like the training photos" in outcome.err


def test_a_label_that_is_called_as_a_column_is_refused_where_labels_are_columns(tmp_path):
    table = made_table(n_rows=30, labels=("confidence", "image"))
    save_model(train_model(table, "softmax", "good", jobs=1), tmp_path / "m")
    table.write(tmp_path / "t.npz")
    words = ["classify", "predict", tmp_path / "m", tmp_path / "t.npz", "--format"]
    assert "a label is called confidence, image" in run(*words, "csv", "--top", "0").error
    assert run(*words, "csv").status == run(*words, "jsonl", "--top", "0").status == 0


def test_nothing_to_predict_on_is_refused(model, separable):
    with pytest.raises(BottleheadError, match="nothing to predict on"):
        predict_images(model, [])
    with pytest.raises(BottleheadError, match="named twice"):
        predict_images(model, ["-", "-"])
    unknown = train_model(separable, "dummy", "wide", jobs=1)
    with pytest.raises(BottleheadError, match="does not know how the features wide are made"):
        predict_images(unknown, __file__)


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return tmp_path_factory.mktemp("store")


@pytest.fixture(scope="module")
def photos(store):
    return write_textures(store / "photos")


@pytest.fixture(scope="module")
def seen(photos, store):
    return extract(photos, ["glcm", "color"], store=store)


@pytest.fixture(scope="module")
def texture(seen):
    return train_model(seen, jobs=1)


@pytest.fixture
def there(photos, seen, texture, tmp_path, monkeypatch):
    """A folder of its own, which is the current one, with a copy of photos, table and model."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(photos, "photos")
    seen.write("t.parquet")
    save_model(texture, "m")
    return tmp_path


def test_photos_are_predicted_as_their_table_is_also_one_by_one_and_in_batches(photos, seen, texture, store):
    by_table = predict_table(texture, seen)
    many = predict_images(texture, photos, store=store)
    np.testing.assert_array_equal(many.probabilities, by_table.probabilities)
    assert many.label == seen.label.tolist()
    assert many.image == [os.path.join(photos, name) for name in by_table.image] == sorted(many.image)
    for row in (0, 9):
        one = predict_images(texture, many.image[row], store=store)
        np.testing.assert_allclose(one.probabilities[0], many.probabilities[row], rtol=1e-5)
    batches = list(predict_batches(texture, photos, store=store, batch_sizes=(1, 4)))
    assert [len(batch) for batch in batches] == [1, 2, 4, 4, 4, 1]
    assert [image for batch in batches for image in batch.image] == many.image
    divided = np.concatenate([batch.probabilities for batch in batches])
    np.testing.assert_allclose(divided, many.probabilities, rtol=1e-5)  # sums of float32, in another order


def test_files_folders_globs_manifests_tables_and_standard_input_in_one_call(there, store, monkeypatch):
    (there / "list.csv").write_text("image\nphotos/smooth/3.png\n")
    (there / "empty").mkdir()
    (there / "text.jpg").write_text("not a photo")
    lines = ["photos/smooth/0.png", "", "no such file.png", "empty", *["photos/rough/5.png"] * 2]
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO("\r\n".join(lines).encode())))
    sources = "photos/rough/1.png photos/rough/[23].png list.csv - t.parquet photos/smooth text.jpg"
    outcome = run(f"classify predict m {sources} --store {store} --format csv")
    assert outcome.status == 0
    found = [line.split(",")[1] for line in outcome.out.splitlines()[1:]]
    listed = ["rough"] * 3 + ["smooth"] + ["smooth", "rough", "rough"]
    assert found == listed + ["rough"] * 8 + ["smooth"] * 8 + ["smooth"] * 8
    left_out = dict(re.findall(r"left out (.+?): (.+)", outcome.err))
    assert sorted(os.path.basename(name) for name in left_out) == ["empty", "no such file.png", "text.jpg"]


def test_batches_of_bad_files_stop_nothing(photos, texture, store, tmp_path):
    """Two at a time: whole batches hold nothing that can be read."""
    for number in range(5):
        (tmp_path / f"a{number}.jpg").write_text("not a photo")
    shutil.copy(photos / "rough" / "1.png", tmp_path / "b.png")
    (tmp_path / "c.jpg").write_bytes(b"")
    sources = [tmp_path, photos / "smooth" / "2.png", "gone.jpg"]
    batches = list(predict_batches(texture, sources, store=store, batch_sizes=(2, 2)))
    assert [(len(batch), len(batch.rejects)) for batch in batches] == [(0, 3), (0, 2), (1, 1), (1, 1)]
    assert [label for batch in batches for label in batch.label] == ["rough", "smooth"]


@pytest.mark.parametrize(
    ("words", "error"),
    [
        ("nowhere.jpg", "there is no nowhere.jpg"),
        ("broken.jpg --format csv", "broken.jpg cannot be used"),
        ("broken.jpg nowhere.jpg", "no image can be read (rejected: 2); the first is"),
        ("photos -o photos/rough/1.png", "photos/rough/1.png is a photo, and plain text would replace it"),
        ("photos/*/*.png -o photos/smooth/0.png --format csv", "is a photo, and CSV would replace it"),
        ("t.parquet -o t.parquet", "is an input and would be overwritten"),
        ("t.parquet -o m", "m is an input and would be overwritten"),
        ("t.parquet -o no/p.csv", "there is no folder no"),
        ("t.parquet -o photos", "photos is a folder"),
    ],
)
def test_what_cannot_be_predicted_or_written_changes_no_file_and_prints_nothing(words, error, there, store):
    (there / "broken.jpg").write_bytes(b"no photo")
    before = {path: path.read_bytes() for path in there.rglob("*") if path.is_file()}
    outcome = run(f"classify predict m {words} --store {store}")
    assert outcome.status == 1 and error in outcome.error and outcome.out == ""
    assert {path: path.read_bytes() for path in there.rglob("*") if path.is_file()} == before


def test_photos_of_the_training_set_are_counted_once(there, store):
    noise(20, 20).save("new.png")
    outcome = run(f"classify predict m t.parquet new.png --store {store}")
    assert outcome.err.count("flatter") == 1
    assert "16 of the 17 photos were in the model's training set; confidences flatter there" in outcome.err
    assert "training set" not in run(f"classify predict m new.png --store {store}").err
    outcome = run(f"classify predict m photos/rough/1.png --store {store}")
    assert "this photo was in the model's training set" in outcome.err
    assert outcome.out.startswith("rough 0.")


def test_features_that_would_be_others_now_are_refused_before_work(photos, texture, store):
    """As after an upgrade: by what describes them, and by the vector of the test image that comes with them."""
    entry = texture.described["glcm"]
    old = {"fingerprint": "0" * 64, "description": entry["description"] | {"family": "old glcm"}}
    drifted = {"golden": [1.01 * number for number in entry["golden"]], "versions": {"numpy": "0.1"}}
    for other, message in (
        (old, "family was old glcm, is now glcm"),
        (drifted, r"does not make the vectors of the training here.* 0\.99 % off.*numpy was 0\.1"),
    ):
        model = dataclasses.replace(texture, described=texture.described | {"glcm": entry | other})
        with pytest.raises(BottleheadError, match=message):
            predict_images(model, photos, store=store)


@pytest.mark.tensorflow
def test_photos_go_through_a_real_network_and_verbose_says_how_long_each_part_took(photos, assets, tmp_path):
    graph, store = assets / "weights" / "mobilenet_v1_0.25_128.pb", tmp_path / "store"
    table = extract(photos, [str(graph), "glcm"], store=store)
    table.write(tmp_path / "t.parquet")
    assert run(f"classify train {tmp_path}/t.parquet -o {tmp_path}/m --head svm").status == 0
    model = load_model(tmp_path / "m")
    assert model.features == "mobilenet_v1_0.25_128+glcm" and model.widths[1] == 5
    words = ["classify", "predict", tmp_path / "m", photos, "--format", "csv", "--top", "0", "--store", store]
    lines = [line.split(",") for line in run(*words).out.splitlines()]
    found = np.array([line[4:] for line in lines[1:]], dtype=float)
    np.testing.assert_allclose(found, model.predict_proba(table.select(model.features)), atol=1e-5)
    moved = shutil.copy(graph, tmp_path / "moved.pb")
    other = run(*words[:-1], tmp_path / "other", "--weights", f"mobilenet_v1_0.25_128={moved}")
    again = np.array([line.split(",")[4:] for line in other.out.splitlines()[1:]], dtype=float)
    np.testing.assert_allclose(again, found, atol=1e-4)

    Image.new("RGB", (80, 60), "red").save(tmp_path / "red.png")
    outcome = run("classify", "predict", tmp_path / "m", tmp_path / "red.png", "--store", store, "--verbose")
    assert outcome.status == 0 and len(outcome.out.splitlines()) == 2
    parts = re.findall(r"^(.+) took \d+\.\d\d s$", outcome.err, re.MULTILINE)
    assert {"importing", "loading the model", "preparing the extractors", "the vectors", "the head"} < {
        *parts
    }
