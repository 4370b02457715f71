"""Perceptual hashes: by scipy's cosine transform, kept by content, and unchanged by what leaves the picture."""

import numpy as np
import pytest
from builders import noise
from PIL import Image
from scipy.fft import dctn

from featurize import FeatureTable, extract
from featurize.errors import TableError
from featurize.extraction.run import run_extraction
from featurize.extractors.phash import PerceptualHash, hashes_as_text
from featurize.photos.source import list_source


def by_scipy(image: Image.Image) -> str:
    """What the package imagehash does, in its own words."""
    grey = np.asarray(image.convert("L").resize((32, 32), Image.Resampling.LANCZOS))
    low = dctn(grey)[:8, :8]
    return f"{int(''.join('01'[bit] for bit in (low > np.median(low)).ravel().astype(int)), 2):016x}"


@pytest.mark.parametrize("size", [(32, 32), (200, 90), (47, 300)])
def test_the_hash_is_that_of_the_cosine_transform(size):
    image = noise(*size, 3)
    assert hashes_as_text(PerceptualHash().transform([np.asarray(image)])) == [by_scipy(image)]


@pytest.mark.parametrize(
    ("pixels", "text"),
    [
        (np.full((40, 30, 3), 7, np.uint8), None),  # one grey has no picture
        (np.repeat(np.indices((64, 64))[1][:, :, None] * 4, 3, axis=2).astype(np.uint8), "8000000000000000"),
        (255 - np.repeat(np.indices((64, 64))[1][:, :, None] * 4, 3, axis=2).astype(np.uint8), "d500000000000000"),
    ],
)  # fmt: skip
def test_hashes_of_plain_pictures(pixels, text):
    """Of ramps all frequencies but those of the first row are 0, which rounding errors must not turn into bits."""
    assert hashes_as_text(PerceptualHash().transform([pixels])) == [text]


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "photos").mkdir()
    for number in range(3):
        noise(40, 30, number).save(tmp_path / "photos" / f"{number}.png")
    Image.new("RGB", (40, 30), "red").save(tmp_path / "photos" / "plain.png")
    return tmp_path


def test_extraction_writes_hashes_keeps_them_and_does_not_decode_again(folder, monkeypatch):
    table = extract(folder / "photos", ["glcm"], store=folder / "store")
    expected = [by_scipy(noise(40, 30, number)) for number in range(3)] + [None]
    assert table.phash.tolist() == expected
    monkeypatch.setattr(PerceptualHash, "prepare", lambda *_: pytest.fail("computed again"))
    (folder / "photos" / "0.png").rename(folder / "photos" / "renamed.png")
    again = extract(folder / "photos", ["glcm"], store=folder / "store")
    assert again.phash.tolist() == [*expected[1:], expected[0]]


def test_a_store_without_hashes_gets_them_once_and_vectors_are_not_computed_again(folder):
    source = list_source(folder / "photos")
    before = run_extraction(source, ["glcm"], store=folder / "store")
    assert before.table.phash.tolist() == [None] * 4 and "phash" not in before.table.ids.column_names
    for n_hashed in (4, 0):
        after = run_extraction(source, ["glcm"], store=folder / "store", hashes=True)
        assert (after.n_computed, after.n_reused, after.n_hashed) == (0, 4, n_hashed)
        assert sum(one is not None for one in after.table.phash) == 3


@pytest.mark.parametrize("kind", [".parquet", ".npz"])
def test_tables_keep_hashes_and_those_without_are_as_before(folder, kind):
    table = extract(folder / "photos", ["glcm"], store=folder / "store")
    table.write(folder / f"t{kind}")
    again = FeatureTable.read(folder / f"t{kind}")
    assert again.ids.equals(table.ids) and again.digest() == table.digest()
    without = again.with_column("phash", [None] * 4)
    assert "phash" not in without.ids.column_names
    assert without.digest() == FeatureTable(table.ids.drop(["phash"]), table.vectors, table.metadata).digest()
    with pytest.raises(TableError, match="16 hex digits"):
        table.with_column("phash", ["5"] * 4)
