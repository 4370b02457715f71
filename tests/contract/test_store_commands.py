"""Listing, verifying, sampling and pruning a store, through the command as a user types it."""

import os
import shlex
import shutil
import time
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from builders import Outcome, flip_bit, run, write_photos
from PIL import Image

from featurize import GLCM, Store, extract, make_extractor

OLD = time.time() - 100 * 86_400
FEW, MANY = GLCM(levels=16), GLCM(levels=32)


# A store that remembers also photos that were written a moment ago.
remembering = partial(Store, young_seconds=-1.0)


@pytest.fixture(scope="module")
def photos(tmp_path_factory) -> Path:
    return write_photos(tmp_path_factory.mktemp("photos"), [f"{i}.png" for i in range(8)], 20, 20)


@pytest.fixture(scope="module")
def filled(photos, tmp_path_factory) -> Path:
    store = tmp_path_factory.mktemp("filled") / "store"
    for texture in (FEW, MANY):
        extract(photos, texture, store=remembering(store))
    return store


@pytest.fixture
def store(filled, tmp_path) -> Path:
    return shutil.copytree(filled, tmp_path / "store")


def section_of(store: Path, extractor) -> Path:
    (found,) = store.glob(f"*-{extractor.fingerprint()[:32]}")
    return found


def shards(section: Path) -> list[Path]:
    return sorted(section.glob("[0-9a-f]*.parquet"))


def files(store: Path) -> dict[str, bytes]:
    return {str(p.relative_to(store)): p.read_bytes() for p in store.rglob("*") if p.is_file()}


def command(store: Path, *words: str) -> Outcome:
    return run("featurize", "store", *words, "--store", store)


def test_list_counts_photos_without_the_golden_image(store):
    header, *rows = command(store, "list").out.splitlines()
    assert header.split() == ["features", "fingerprint", "width", "images", "bytes", "last", "written"]
    sizes = {e: sum(path.stat().st_size for path in shards(section_of(store, e))) for e in (FEW, MANY)}
    listed = {tuple(row.split()[:5]) for row in rows}
    hashes = {row for row in listed if row[0] == "phash"}  # one set, whatever the features
    assert [row[2:4] for row in hashes] == [("4", "8")] and listed - hashes == {
        ("glcm", extractor.fingerprint()[:8], "5", "8", f"{size:,}") for extractor, size in sizes.items()
    }


def test_verify_sets_damage_aside_and_fails_once_and_extract_computes_it_anew(store, photos, tmp_path):
    assert command(store, "verify").status == 0
    path = shards(section_of(store, MANY))[0]
    flip_bit(path)
    done = command(store, "verify")
    assert done.status == 1 and "error: 1 damaged files were set aside" in done.err
    assert [p.name for p in section_of(store, MANY).glob("damaged/*")] == [path.name]
    done = command(store, "verify")
    assert done.status == 0 and [row.split()[2:] for row in done.out.splitlines()[1:]].count(["1", "0"]) >= 1
    again = extract(photos, MANY, store=store)
    assert again.digest() == extract(photos, MANY, store=tmp_path / "fresh").digest()


def test_sampling_makes_every_family_anew_from_its_description_and_finds_no_drift(photos, tmp_path):
    specs = ["glcm:haralick", "color", "lbp", "shape", "nuisance"]
    store, steps = tmp_path / "store", ["crop:18", "median:3"]
    extract(photos, [make_extractor(spec, preprocess=steps) for spec in specs], store=remembering(store))
    done = command(store, "verify", "--sample", "100%")
    rows = [row.split() for row in done.out.splitlines() if row.split()[0] in specs]
    assert done.status == 0 and [row[0] for row in rows[5:]] == sorted(specs)
    assert [row[2:] for row in rows[5:]] == [["8", "8", "8", "0.00e+00"]] * 5
    rows = [row.split() for row in command(store, "verify", "--sample", "50%").out.splitlines()[-5:]]
    assert [row[2:] for row in rows] == [["4", "8", "8", "0.00e+00"]] * 5


class Wrong(GLCM):
    def vectors(self, prepared):
        return super().vectors(prepared) * np.float32(1.5)


def test_sampling_names_the_drift_of_vectors_that_were_stored_wrongly(photos, tmp_path):
    extract(photos, Wrong(), store=remembering(tmp_path / "store"))
    assert command(tmp_path / "store", "verify").status == 0
    done = command(tmp_path / "store", "verify", "--sample", "100%")
    assert done.status == 1 and "differ from those stored by up to 33.33%" in done.error


def test_photos_that_are_gone_or_changed_are_left_out_of_the_sample(tmp_path):
    photos = write_photos(tmp_path / "photos", [f"{i}.png" for i in range(4)], 20, 20)
    extract(photos, MANY, store=remembering(tmp_path / "store"))
    (photos / "0.png").unlink()
    Image.new("RGB", (5, 5)).save(photos / "1.png")
    last = command(tmp_path / "store", "verify", "--sample", "100%").out.splitlines()[-1]
    assert last.split()[2:] == ["2", "3", "4", "0.00e+00"]
    shutil.rmtree(photos)
    done = command(tmp_path / "store", "verify", "--sample", "100%")
    assert done.status == 0 and "none of its 4 photos is where it was" in done.err


def test_prune_is_a_dry_run_without_yes_or_finds_nothing_and_says_why(store):
    before = files(store)
    for words, why in {
        "--extractor glcm": "vectors of glcm",
        "": "nothing to remove; name vectors with --extractor",
        "--older-than 900d": "nothing to remove; no vectors are so named or so old",
    }.items():
        done = command(store, "prune", *words.split())
        assert done.status == 0 and why in done.out + done.err and files(store) == before


@pytest.mark.parametrize("words", [["--extractor", FEW.fingerprint()[:12]], ["--older-than", "90d"]])
def test_prune_removes_one_extractor_by_its_fingerprint_or_its_age_and_no_other(store, words):
    few, many = section_of(store, FEW), section_of(store, MANY)
    for path in shards(few):
        os.utime(path, (OLD, OLD))
    before = files(many)
    assert command(store, "prune", "--older-than", "101d", "--yes", "-q").status == 0 and few.exists()
    assert command(store, "prune", *words, "--yes", "-q").status == 0
    assert list(store.glob("glcm-*")) == [many] and files(many) == before


def test_prune_clears_leftovers_but_nothing_that_may_be_in_use(store):
    section = section_of(store, MANY)
    (section / "damaged").mkdir()
    (section / "damaged" / "x.parquet").write_bytes(b"x")
    for name in ("old", "young"):
        (section / f".partial-{name}.parquet").write_bytes(b"x")
    os.utime(section / ".partial-old.parquet", (OLD, OLD))
    (store / "graphs").mkdir()
    for fingerprint in (MANY.fingerprint(), "0" * 64, "1" * 64):
        name = f"{fingerprint}-{'0' * 64}.pb"
        (store / "graphs" / name).write_bytes(b"network")
        if not fingerprint.startswith("1"):
            os.utime(store / "graphs" / name, (OLD, OLD))
    before = files(store)
    assert command(store, "prune", "--yes", "-q").status == 0
    gone = {Path(name).name[:12] for name in set(before) - set(files(store))}
    assert gone == {"x.parquet", ".partial-old", "0" * 12}
    assert not (section / "damaged").exists()


@pytest.mark.parametrize(("words", "status", "message"), [
    ("list --store /nowhere/at/all", 1, "there is no store /nowhere/at/all"),
    ("list --store ~no-such-user/store", 1, "there is no store ~no-such-user/store"),
    ("prune --older-than soon", 1, "'soon' is no age"), ("prune --extractor ''", 1, "--extractor is empty"),
    ("prune --extractor vgg", 1, "the store holds nothing of 'vgg'"),
    ("verify --extractor vgg", 1, "the store holds nothing of 'vgg'"),
    ("verify --sample 0%", 2, "give more than 0% and at most 100%"),
    ("verify --sample 101%", 2, "give more than 0% and at most 100%"),
    ("verify --sample half", 2, "give more than 0% and at most 100%"),
])  # fmt: skip
def test_bad_arguments_are_refused_with_a_reason(store, words, status, message):
    done = run(f"featurize store {words}") if "--store" in words else command(store, *shlex.split(words))
    assert done.status == status and message in done.err
    assert status == 2 or (done.error == message and done.hint)


def test_the_size_that_list_tells_is_that_of_all_files(store):
    (store / "graphs").mkdir(exist_ok=True)
    (store / "graphs" / "kept.pb").write_bytes(bytes(123_456))
    done = run("featurize", "store", "list", "--store", store)
    total = sum(path.stat().st_size for path in store.rglob("*") if path.is_file())
    vectors = sum(path.stat().st_size for path in store.rglob("*.parquet"))
    assert f" extractors, {total:,} bytes in all" in done.err
    others = total - vectors - 123_456
    assert f"123,456 bytes of networks kept for a quick start, {others:,} bytes of indexes" in done.err
