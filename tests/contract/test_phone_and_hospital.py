"""Folders of HEIC and DICOM photos, from the scan to the prediction, with broken ones among them."""

import json

import numpy as np
import pytest
from builders import dicom, encoded, noise, run

from featurize import FeatureTable

pillow_heif = pytest.importorskip("pillow_heif", reason="pip install '.[test]'")
pytest.importorskip("pydicom", reason="pip install '.[test]'")


@pytest.fixture
def photos(tmp_path):
    """Four rough photos in HEIC and four smooth ones in DICOM, a broken one in each class, and one called .jpg."""
    pillow_heif.register_heif_opener()
    for label in ("rough", "smooth"):
        (tmp_path / "photos" / label).mkdir(parents=True)
    rough, smooth = tmp_path / "photos/rough", tmp_path / "photos/smooth"
    for number in range(4):
        (rough / f"{number}.{'jpg' if number == 3 else 'HEIC'}").write_bytes(
            encoded(noise(64, 48, number), "HEIF")
        )
        values = np.add.outer(np.arange(48), np.arange(64) + number).astype(np.uint16)
        (smooth / f"{number}.dcm").write_bytes(dicom(values, bits=12, WindowCenter=60, WindowWidth=120))
    (rough / "cut.heic").write_bytes(encoded(noise(64, 48), "HEIF")[:900])
    (smooth / "cut.dcm").write_bytes(dicom(np.zeros((48, 64), np.uint16))[:900])
    return tmp_path / "photos"


def test_photos_of_phones_and_hospitals_are_photos(photos, tmp_path):
    scanned = run("featurize", "scan", photos, "--json", tmp_path / "scan.json")
    assert scanned.status == 0 and scanned.err == ""
    about = json.loads((tmp_path / "scan.json").read_text())
    assert about["formats"] == {"HEIF": 4, "DICOM": 4}
    assert [reject["image"] for reject in about["rejects"]] == ["rough/cut.heic", "smooth/cut.dcm"]
    words = ["--features", "glcm", "--store", tmp_path / "store"]
    done = run("featurize", "extract", photos, "-o", tmp_path / "t.parquet", *words, "--strict")
    assert done.status == 1 and done.error == "2 images were left out (--strict)"
    table = FeatureTable.read(tmp_path / "t.parquet")
    assert sorted(table.label) == ["rough"] * 4 + ["smooth"] * 4
    everything = (tmp_path / "t.parquet").read_bytes() + (tmp_path / "t.rejects.csv").read_bytes()
    assert b"Secret" not in everything and "Secret" not in done.out + done.err + scanned.out

    trained = run("classify", "train", tmp_path / "t.parquet", "-o", tmp_path / "m")
    assert trained.status == 0, trained.err
    words = ["--format", "csv", "--store", tmp_path / "store"]
    answers = run(
        "classify", "predict", tmp_path / "m", photos / "rough/1.HEIC", photos / "smooth/1.dcm", *words
    )
    assert [line.split(",")[1] for line in answers.out.splitlines()[1:]] == ["rough", "smooth"]
