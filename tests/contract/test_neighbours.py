import json

import numpy as np
import pytest
from PIL import Image

from classify.cli import main
from classify.neighbours import nearest_images
from classify.persist import save_model
from classify.scaling import BlockScaler
from classify.train import train
from featurize.errors import ModelError, SourceError, UsageError
from featurize.run import extract


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """Noise of growing strength, twelve photos of each of two labels."""
    rng = np.random.default_rng(0)
    folder = tmp_path_factory.mktemp("photos")
    for label, strengths in {"calm": range(12), "rough": range(40, 100, 5)}.items():
        (folder / label).mkdir()
        for number, strength in enumerate(strengths):
            pixels = 120 + rng.normal(size=(48, 64, 1)) * (strength + 1)
            grey = np.clip(pixels, 0, 255).astype(np.uint8).repeat(3, axis=2)
            Image.fromarray(grey).save(folder / label / f"{number:02}.png")
    return folder


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return tmp_path_factory.mktemp("store")


@pytest.fixture(scope="module")
def table(photos, store):
    return extract(photos, ["glcm", "lbp"], store=store)


@pytest.fixture(scope="module")
def model(table):
    return train(table)


def test_the_nearest_by_the_scaled_distance(model, photos, store, table):
    found = nearest_images(model, photos / "rough" / "03.png", table, top=24, store=store)
    scaled = BlockScaler(model.widths).fit_transform(table.select(model.features)).astype(np.float64)
    (row,) = np.flatnonzero(table.image == "rough/03.png")
    expected = np.linalg.norm(scaled - scaled[row], axis=1)
    np.testing.assert_allclose([one.distance for one in found], np.sort(expected), atol=1e-5)
    assert (found[0].image, found[0].label, found[0].distance) == ("rough/03.png", "rough", 0.0)
    assert [one.image for one in found] == table.image[np.argsort(expected)].tolist()


def test_copies_are_left_out_and_labels_are_those_of_the_model(photos, store, table):
    relabel = {"calm": "still", "rough": "wild"}
    model = train(table, relabel=relabel)
    copies = table.with_column("variant", [0, 4] * 12)
    found = nearest_images(model, photos / "calm" / "01.png", copies, top=99, store=store)
    assert len(found) == 12
    assert {one.image for one in found} == set(table.image[::2])
    assert {one.label for one in found} == {"still", "wild"}


def test_what_cannot_be_compared_is_refused(model, photos, store, table, tmp_path):
    (tmp_path / "text.jpg").write_text("not a photo")
    with pytest.raises(SourceError, match=r"the first is .*text\.jpg"):
        nearest_images(model, tmp_path / "text.jpg", table, store=store)
    with pytest.raises(SourceError, match="is 24 photos"):
        nearest_images(model, photos, table, store=store)
    with pytest.raises(ModelError, match="needs the features lbp"):
        photo = photos / "calm" / "01.png"
        nearest_images(model, photo, extract(photos, ["glcm"], store=store), store=store)
    with pytest.raises(UsageError, match="holds no photo"):
        nearest_images(model, photos / "calm" / "01.png", table.filter(np.zeros(24, bool)), store=store)


def test_the_command(model, photos, store, table, tmp_path, capsys):
    save_model(model, tmp_path / "m")
    table.write(tmp_path / "t.parquet")
    argv = ["neighbours", str(tmp_path / "m"), str(photos / "rough" / "03.png")]
    argv += ["--table", str(tmp_path / "t.parquet"), "--store", str(store), "--top", "3"]
    assert main(argv) == 0
    text = capsys.readouterr().out.splitlines()
    assert text[0] == "0.0000 rough rough/03.png"
    assert main([*argv, "--format", "csv"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[:2] == ["image,label,distance", "rough/03.png,rough,0.0"]
    assert main([*argv, "--format", "jsonl"]) == 0
    objects = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [f"{one['distance']:.4f} {one['label']} {one['image']}" for one in objects] == text
