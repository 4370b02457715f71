"""``featurize extract --part I/N``, and the same command that assembles the table of its parts."""

import importlib.metadata
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from builders import Outcome, run, upload, write_photos, write_textures

from featurize import FeatureTable

FEATURES = ["--features", "glcm", "color"]


@pytest.fixture
def photos(tmp_path) -> Path:
    folder = write_textures(tmp_path / "photos", n=6)
    (folder / "rough" / "0 broken.png").write_bytes(b"no photo")
    return folder


def extract(photos: Path | str, store: Path | str, *words: str | Path) -> Outcome:
    done = run("featurize", "extract", photos, "--store", store, *words)
    assert "Traceback" not in done.err
    return done


def parts_in(store: Path) -> list[str]:
    return sorted(path.name.rpartition("-")[0] for path in (store / "parts").rglob("*.parquet"))


def in_parts(
    photos: Path | str, store: Path | str, n: int, *words: str | Path, but: tuple[int, ...] = ()
) -> None:
    for number in range(1, n + 1):
        if number not in but:
            done = extract(photos, store, *words, "--part", f"{number}/{n}")
            assert done.status == 0, done.err


@pytest.mark.parametrize("name", ["t.parquet", "t.npz"])
def test_parts_make_the_table_and_the_rejects_of_one_command_byte_for_byte(photos, tmp_path, name):
    one, several = tmp_path / "one", tmp_path / "several"
    for folder in (one, several):
        folder.mkdir()
    said = extract(photos, one / "store", *FEATURES, "-o", one / name).err
    in_parts(photos, several / "store", 5, *FEATURES)
    assert parts_in(several / "store") == [f"{n}-of-5" for n in range(1, 6)]
    done = extract(photos, several / "store", *FEATURES, "-o", several / name)
    assert done.status == 0 and done.err.replace("several", "one") == said
    for file in (name, "t.rejects.csv"):
        assert (several / file).read_bytes() == (one / file).read_bytes()
    assert not (several / "store" / "parts").exists()
    assert "nothing was computed" in extract(photos, several / "store", *FEATURES, "-o", several / name).err


def test_a_part_may_run_twice_also_at_once(photos, tmp_path):
    store, words = tmp_path / "store", ["--features", "color", "--part", "1/2", "--quiet"]
    command = [sys.executable, "-m", "featurize", "extract", str(photos), "--store", str(store), *words]
    with subprocess.Popen(command) as other:
        in_parts(photos, store, 2, "--features", "color")
    assert other.returncode == 0
    in_parts(photos, store, 2, "--features", "color", but=(2,))
    done = extract(photos, store, "--features", "color", "-o", tmp_path / "t.parquet")
    assert done.status == 0 and len(set(FeatureTable.read(tmp_path / "t.parquet").image)) == 12


def test_missing_parts_are_named_and_can_be_computed_here(photos, tmp_path):
    store, output = tmp_path / "store", ["-o", tmp_path / "t.parquet"]
    in_parts(photos, store, 9, "--features", "color", but=(2, 3, 4, 8))
    done = extract(photos, store, "--features", "color", *output)
    assert done.status == 1 and "parts 2-4,8 of 9 are missing" in done.error
    assert "--part I/9" in done.hint and "--compute-missing" in done.hint
    assert not (tmp_path / "t.parquet").exists()
    done = extract(photos, store, "--features", "color", *output, "--compute-missing")
    assert done.status == 0 and "12 images (12 distinct): all were computed" in done.err
    assert not (store / "parts").exists()


OTHERWISE = [
    (["--features", "glcm"], "--features was color, and is glcm"),
    (["--features", "color", "glcm"], "--features was color, and is color and glcm"),
    (["--features", "color", "--preprocess", "grayscale"], "the preprocess of color differ"),
    (["--features", "color", "--max-megapixels", "50"], "--max-megapixels was 200, and is 50"),
    (["--features", "color", "--distort", "1", "--flip-left-right"], "distorted copies differs"),
    (["--features", "color", "--group-by", "(rough|smooth)"], "the groups differ (--group-by, --columns)"),
]  # fmt: skip


def test_parts_that_were_made_otherwise_are_an_error_that_says_what_differs(photos, tmp_path, monkeypatch):
    store, output = tmp_path / "store", ["-o", tmp_path / "t.parquet"]
    in_parts(photos, store, 2, "--features", "color", but=(2,))
    for words, difference in OTHERWISE:
        done = extract(photos, store, *words, *output)
        assert done.status == 1 and difference in done.error and "parts 1 of 2" in done.error, words
        assert "prune --parts" in done.hint
    # The other half was made otherwise: what is missing is named, and why the rest does not count.
    in_parts(photos, store, 2, "--features", "glcm", but=(1,))
    error = extract(photos, store, "--features", "color", *output).error
    assert "part 2 of 2 is missing" in error and "--features was glcm, and is color" in error
    write_photos(photos, ["smooth/new.png"])
    error = extract(photos, store, "--features", "color", *output).error
    assert "the source had 13 photos, and has 14" in error
    (photos / "smooth" / "new.png").unlink()
    (photos / "smooth" / "0.png").rename(photos / "smooth" / "00.png")
    assert "other names" in extract(photos, store, "--features", "color", *output).error
    (photos / "smooth" / "00.png").rename(photos / "smooth" / "0.png")
    found = importlib.metadata.version
    monkeypatch.setattr("featurize.extraction.part_files.version", lambda name: found(name) + ".post9")
    error = extract(photos, store, "--features", "color", *output).error
    assert f"bottlehead {found('bottlehead')} made them, and this is {found('bottlehead')}.post9" in error
    # As if there were none; they stay for the command that they are of.
    done = extract(photos, store, "--features", "color", *output, "--compute-missing")
    assert done.status == 0 and parts_in(store) == ["1-of-2", "2-of-2"]
    done = run("featurize", "store", "prune", "--parts", "--yes", "--store", store)
    assert done.status == 0 and not (store / "parts").exists()
    assert "nothing was computed" in extract(photos, store, "--features", "color", *output).err


def test_a_photo_that_changed_since_its_part_makes_the_part_missing(photos, tmp_path):
    store, output = tmp_path / "store", ["-o", tmp_path / "t.parquet"]
    in_parts(photos, store, 3, "--features", "color")
    (photos / "rough" / "0 broken.png").write_bytes((photos / "rough" / "1.png").read_bytes())
    assert (
        "part 1 of 3 is missing, or photos of theirs changed"
        in extract(photos, store, "--features", "color", *output).error
    )
    in_parts(photos, store, 3, "--features", "color", but=(2, 3))
    assert extract(photos, store, "--features", "color", *output).status == 0
    assert len(FeatureTable.read(tmp_path / "t.parquet")) == 13


def test_damaged_part_files_and_lost_vectors_count_as_missing(photos, tmp_path):
    store, output = tmp_path / "store", ["-o", tmp_path / "t.parquet"]
    in_parts(photos, store, 3, "--features", "color")
    (file,) = (store / "parts").rglob("2-of-3-*.parquet")
    file.write_bytes(file.read_bytes().replace(b"rough", b"rouge"))
    done = extract(photos, store, "--features", "color", *output)
    assert "part 2 of 3 is missing" in done.error and "is damaged" in done.err
    in_parts(photos, store, 3, "--features", "color", but=(1, 3))
    run("featurize", "store", "prune", "--store", store, "--extractor", "color", "--yes")
    done = extract(photos, store, "--features", "color", *output)
    assert done.status == 1 and "lacks the vectors of 12 rows, of the parts 1-3" in done.error
    assert extract(photos, store, "--features", "color", *output, "--compute-missing").status == 0
    assert len(FeatureTable.read(tmp_path / "t.parquet")) == 12


@pytest.mark.parametrize(("words", "status", "says"), [
    (["--part", "0/4"], 2, "'0/4' is no part"),
    (["--part", "5/4"], 2, "'5/4' is no part"),
    (["--part", "x"], 2, "'x' is no part"),
    (["--part", "1/4/2"], 2, "'1/4/2' is no part"),
    (["--part", "1/4", "-o", "t.parquet"], 2, "-o and --part were both given"),
    (["--part", "1/4", "--rejects", "r.csv"], 2, "--rejects and --part were both given"),
    (["--part", "1/4", "--compute-missing"], 2, "--compute-missing and --part were both given"),
    (["--part", "1/4", "--cluster", "dask://local"], 2, "--cluster and --part were both given"),
    ([], 2, "the following arguments are required: -o/--output"),
    (["--part", "1/2", "--strict"], 1, "1 image was left out (--strict)"),
])  # fmt: skip
def test_options_that_do_not_go_together(photos, tmp_path, words, status, says):
    done = extract(photos, tmp_path / "store", "--features", "color", *words)
    assert done.status == status and says in done.err


def test_manifests_archives_and_more_parts_than_photos(photos, tmp_path):
    store = tmp_path / "store"
    (tmp_path / "m.csv").write_text("image,label,age\nphotos/rough/1.png,r,7\nphotos/smooth/1.png,s,8\n")
    with zipfile.ZipFile(tmp_path / "photos.zip", "w") as archive:
        for path in sorted(photos.rglob("*.png")):
            archive.write(path, path.relative_to(photos))
    for source, words in (("m.csv", ["--keep", "age"]), ("photos.zip", [])):
        words = [*words, "--features", "color"]
        one = extract(tmp_path / source, tmp_path / "one", *words, "-o", tmp_path / "1.parquet")
        in_parts(tmp_path / source, store, 20, *words)
        done = extract(tmp_path / source, store, *words, "-o", tmp_path / "2.parquet")
        assert one.status == done.status == 0, done.err
        assert (tmp_path / "1.parquet").read_bytes() == (tmp_path / "2.parquet").read_bytes()


def test_photos_store_and_table_in_a_bucket(bucket, photos, tmp_path):
    upload(photos, f"{bucket}/photos")
    words = ["--features", "color"]
    in_parts(f"{bucket}/photos", f"{bucket}/store", 2, *words)
    done = extract(f"{bucket}/photos", f"{bucket}/store", *words, "-o", f"{bucket}/t.parquet")
    one = extract(f"{bucket}/photos", tmp_path / "one", *words, "-o", f"{bucket}/one.parquet")
    assert done.status == one.status == 0, done.err
    tables = [FeatureTable.read(f"{bucket}/{name}.parquet") for name in ("t", "one")]
    assert tables[0].digest() == tables[1].digest() and tables[0].metadata == tables[1].metadata
    # Nothing of the parts is left.
    again = extract(f"{bucket}/photos", f"{bucket}/store", "--features", "glcm", "-o", tmp_path / "g.parquet")
    assert again.status == 0
