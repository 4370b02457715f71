"""Photos of fire are labelled, and flowers are like nothing that the model was shown."""

import re
import shutil

import pytest

from classify import load_model
from featurize import BottleheadError

ROW = re.compile(
    r"^(\S+) +(fire|normal) +([\d.]+) +([\d.]+) +([\d.]+) +([\d.]+)(  like nothing in training)?$"
)


@pytest.fixture
def fires(assets, tmp_path):
    """30 photos of each class to learn from, and a folder of six others with four flowers among them."""
    (tmp_path / "camera").mkdir()
    for label in ("fire", "normal"):
        (tmp_path / "photos" / label).mkdir(parents=True)
        for number, photo in enumerate(sorted((assets / "data" / "fire" / label).iterdir())[:33]):
            target = tmp_path / ("camera" if number >= 30 else f"photos/{label}")
            shutil.copy(photo, target / f"{label}{number}{photo.suffix}")
    for number, photo in enumerate(sorted((assets / "data" / "flowers" / "daisy").iterdir())[:4]):
        shutil.copy(photo, tmp_path / "camera" / f"raccoon{number}.jpg")
    (tmp_path / "camera" / "torn.jpg").write_bytes(b"\xff\xd8 and no more")
    return tmp_path


@pytest.mark.tensorflow
def test_a_folder_is_labelled_and_strangers_are_flagged(example, fires, store, real_weights, capsys):
    arguments = ["--misc", "normal", "--features", "inception_v3:mixed8", "--store", str(store)]
    arguments += ["--model", str(fires / "fire.model")]
    example("fire_and_smoke").main([str(fires / "photos"), str(fires / "camera"), *arguments])
    printed = capsys.readouterr().out
    assert printed.startswith("60 photos: 30 fire, 30 normal\nFinal test accuracy = ")
    rows = [found for found in (ROW.match(line.rstrip()) for line in printed.splitlines()) if found]
    assert len(rows) == 10
    right = 0
    for name, label, score, alarm, fire, normal, _ in (row.groups() for row in rows):
        assert float(fire) + float(normal) == pytest.approx(1, abs=2e-5)
        assert float(alarm) == pytest.approx(1 - float(normal), abs=2e-5)
        assert score == max(fire, normal) == (fire if label == "fire" else normal)
        right += label in name
    assert right >= 5, "of three fires and three others"
    flagged = [row[1] for row in rows if row[7]]
    assert sum("raccoon" in name for name in flagged) >= 3 and len(flagged) <= 5
    assert f"{len(flagged)} outliers" in printed
    assert re.search(r"^left out \S*torn\.jpg: ", printed, flags=re.MULTILINE)
    assert load_model(fires / "fire.model").labels == ["fire", "normal"]


def test_the_class_of_everything_else_must_be_one_of_them(example, fires, store):
    arguments = [str(fires / "photos"), str(fires / "camera"), "--features", "glcm", "--store", str(store)]
    with pytest.raises(BottleheadError, match=r"no class misc; its classes are fire, normal"):
        example("fire_and_smoke").main(arguments)
