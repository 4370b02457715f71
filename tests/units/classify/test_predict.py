import dataclasses
import io
import os
import re
import shutil

import numpy as np
import pytest
from builders import write_textures
from PIL import Image

from classify.cli import main
from classify.model.modelfile import save_model
from classify.prediction.predict import Predictions, predict, predict_batches, predict_table
from classify.training.train import train
from featurize.errors import ModelError, SourceError, UsageError
from featurize.extraction.run import extract
from featurize.table import FeatureTable


def test_a_table_is_predicted_as_the_head_predicts(model, described):
    result = predict_table(model, described)
    np.testing.assert_array_equal(result.probabilities, model.head.predict_proba(described.select("wide")))
    assert result.label == described.label.tolist()
    np.testing.assert_array_equal(result.confidence, result.probabilities.max(axis=1))
    assert result.image == described.image.tolist()
    np.testing.assert_array_equal(result.distance, model.outliers.distances(described.select("wide")))
    assert result.outlier == (result.distance > model.outliers.threshold).tolist()
    assert sum(result.outlier) <= 3  # each of these vectors is even among the nearest to itself


def test_what_looks_like_nothing_in_the_training_is_an_outlier(model, described):
    vectors = {name: matrix.copy() for name, matrix in described.vectors.items()}
    vectors["wide"][:3] = 30.0
    result = predict_table(model, FeatureTable(described.ids, vectors, described.metadata))
    assert result.outlier == [True] * 3 + predict_table(model, described).outlier[3:]


def test_a_model_without_training_vectors_says_nothing_of_outliers(model, described):
    result = predict_table(dataclasses.replace(model, outliers=None), described)
    assert result.outlier == [None] * 60
    assert np.isnan(result.distance).all()


def test_a_strange_batch_is_said_to_be_in_one_line(model, described, tmp_path, caplog):
    described.write(tmp_path / "same.parquet")
    strange = {name: matrix + 20 for name, matrix in described.vectors.items()}
    FeatureTable(described.ids, strange, described.metadata).write(tmp_path / "other.parquet")
    with caplog.at_level("WARNING", "bottlehead"):
        predict(model, tmp_path / "same.parquet")
        assert [record.getMessage() for record in caplog.records] == [
            "60 of the 60 photos were in the model's training set; confidences flatter there"
        ]
        caplog.clear()
        predict(model, tmp_path / "other.parquet")
    record = caplog.records[-1]
    assert len(caplog.records) == 2  # they are called as those of the training
    assert "these 60 photos do not look like the training photos" in record.getMessage()


def test_copies_are_left_out(model, described):
    result = predict_table(model, described.with_column("variant", [0, 3] * 30))
    assert result.image == described.image[::2].tolist()


def test_best_is_best_first():
    result = Predictions(["x"], ["a", "b", "c"], np.array([[0.2, 0.5, 0.3]]), [None])
    assert result.best(0) == [("b", 0.5), ("c", 0.3), ("a", 0.2)]
    assert result.best(0, 2) == [("b", 0.5), ("c", 0.3)]


def test_table_files_of_both_kinds(model, described, tmp_path):
    described.write(tmp_path / "t.parquet")
    described.write(tmp_path / "t.npz")
    result = predict(model, [tmp_path / "t.parquet", tmp_path / "t.npz"])
    assert len(result) == 120
    assert result.label == described.label.tolist() * 2


def test_nothing_to_predict_on_is_refused(model):
    with pytest.raises(UsageError, match="nothing to predict on"):
        predict(model, [])


def test_photos_need_a_model_that_knows_how_its_vectors_are_made(separable, tmp_path):
    (tmp_path / "1.jpg").touch()
    with pytest.raises(ModelError, match="does not know how the features wide are made"):
        predict(train(separable, features="wide"), tmp_path / "1.jpg")


# -- photos: the texture features need no network ----------------------------------------------------


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    return write_textures(tmp_path_factory.mktemp("photos"))


@pytest.fixture(scope="module")
def texture(photos, tmp_path_factory):
    store = tmp_path_factory.mktemp("store")
    return train(extract(photos, ["glcm"], store=store)), store


def test_photos_are_predicted_as_their_table_is(photos, texture):
    model, store = texture
    table = extract(photos, ["glcm"], store=store)
    by_table = predict_table(model, table)
    by_folder = predict(model, photos, store=store)
    np.testing.assert_array_equal(by_folder.probabilities, by_table.probabilities)
    assert by_folder.label == table.label.tolist()
    assert by_folder.image == [os.path.join(photos, name) for name in by_table.image]


def test_one_photo_and_many_give_the_same(photos, texture):
    model, store = texture
    many = predict(model, [photos], store=store)
    for row in (0, 9):
        one = predict(model, many.image[row], store=store)
        np.testing.assert_array_equal(one.probabilities[0], many.probabilities[row])


def test_files_folders_globs_manifests_and_tables_in_one_call(photos, texture, tmp_path):
    model, store = texture
    extract(photos, ["glcm"], store=store).write(tmp_path / "t.parquet")
    (tmp_path / "list.csv").write_text(f"image\n{photos}/smooth/3.png\n")
    sources = [
        photos / "rough" / "1.png",
        f"{photos}/rough/[23].png",
        tmp_path / "list.csv",
        tmp_path / "t.parquet",
        photos / "smooth",
    ]
    result = predict(model, sources, store=store)
    assert result.label == ["rough"] * 3 + ["smooth"] + ["rough"] * 8 + ["smooth"] * 8 + ["smooth"] * 8


def test_a_bad_file_is_reported_and_the_others_are_predicted(photos, texture, tmp_path):
    model, store = texture
    shutil.copy(photos / "rough" / "1.png", tmp_path / "good.png")
    (tmp_path / "text.jpg").write_text("not a photo")
    result = predict(model, [tmp_path, tmp_path / "missing.jpg"], store=store)
    assert [os.path.basename(name) for name in result.image] == ["good.png"]
    assert sorted(os.path.basename(name) for name, _ in result.rejects) == ["missing.jpg", "text.jpg"]
    assert all(reason for _, reason in result.rejects)


def test_batches_of_bad_files_stop_nothing(photos, texture, tmp_path):
    """Two at a time: whole batches hold nothing that can be read."""
    model, store = texture
    for number in range(5):
        (tmp_path / f"a{number}.jpg").write_text("not a photo")
    shutil.copy(photos / "rough" / "1.png", tmp_path / "b.png")
    (tmp_path / "c.jpg").write_bytes(b"")
    batches = list(
        predict_batches(
            model, [tmp_path, photos / "smooth" / "2.png", "gone.jpg"], store=store, batch_sizes=(2, 2)
        )
    )
    assert [(len(batch), len(batch.rejects)) for batch in batches] == [(0, 3), (0, 2), (1, 1), (1, 1)]
    assert [label for batch in batches for label in batch.label] == ["rough", "smooth"]


def test_batches_give_what_one_run_gives(photos, texture):
    model, store = texture
    whole = predict(model, photos, store=store)
    assert whole.image == sorted(whole.image)
    batches = list(predict_batches(model, photos, store=store, batch_sizes=(1, 4)))
    assert [len(batch) for batch in batches] == [1, 2, 4, 4, 4, 1]
    assert [image for batch in batches for image in batch.image] == whole.image
    divided = np.concatenate([batch.probabilities for batch in batches])
    np.testing.assert_allclose(divided, whole.probabilities, rtol=1e-5)  # sums of float32, in another order


def test_paths_on_standard_input(photos, texture, monkeypatch):
    model, store = texture
    (photos.parent / "empty").mkdir(exist_ok=True)
    lines = [photos / "smooth" / "0.png", "", "no such file.png", photos.parent / "empty"]
    lines += [photos / "rough" / "5.png"] * 2
    data = b"\r\n".join(os.fsencode(line) for line in lines)
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(data)))
    result = predict(model, ["-", photos / "rough" / "1.png"], store=store)
    assert result.label == ["smooth", "rough", "rough", "rough"]
    assert sorted(reason[:9] for _, reason in result.rejects) == ["no images", "no such f"]


def test_standard_input_twice_is_refused(model):
    with pytest.raises(UsageError, match="named twice"):
        predict(model, ["-", "-"])


def test_no_readable_photo_at_all_is_an_error(texture, tmp_path):
    model, store = texture
    (tmp_path / "text.jpg").write_text("not a photo")
    with pytest.raises(SourceError, match=r"text\.jpg cannot be used: text"):
        predict(model, tmp_path / "text.jpg", store=store)


def test_an_extractor_of_another_make_is_refused_before_it_works(photos, texture):
    """As after an upgrade that computes the same features in another way."""
    model, store = texture
    entry = model.described["glcm"]
    changed = {"fingerprint": "0" * 64, "description": entry["description"] | {"family": "old glcm"}}
    other = dataclasses.replace(model, described={"glcm": entry | changed})
    with pytest.raises(ModelError, match="family was old glcm, is now glcm"):
        predict(other, photos, store=store)


@pytest.mark.tensorflow
def test_verbose_says_how_long_each_part_took(photos, assets, tmp_path, capsys):
    """Of one photo, through a real network."""
    graph = str(assets / "weights" / "mobilenet_v1_0.25_128.pb")
    store = tmp_path / "store"
    save_model(train(extract(photos, [graph], store=store)), tmp_path / "m")
    Image.new("RGB", (80, 60), "red").save(tmp_path / "red.png")
    argv = ["predict", str(tmp_path / "m"), str(tmp_path / "red.png"), "--store", str(store), "--verbose"]
    assert main(argv) == 0
    captured = capsys.readouterr()
    assert len(captured.out.splitlines()) == 2
    parts = ["importing", "loading the model", "importing tensorflow", "loading mobilenet_v1_0.25_128"]
    for part in [*parts, "preparing the extractors", "the vectors", "the head"]:
        assert re.search(rf"^{part} took \d+\.\d\d s$", captured.err, re.MULTILINE), part
    assert "reproduces the vector of the training to 0.0e+00" in captured.err
