"""Listing, verifying, sampling and pruning a store, through the command as a user types it."""

import os
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from featurize.cli import main
from featurize.extraction.run import run_extraction
from featurize.extractors.base import relative_drift
from featurize.extractors.glcm import GLCM
from featurize.networks.network_extractor import save_frozen_graph
from featurize.photos.source import list_source
from featurize.store.shard import image_keys
from featurize.store.store import Store
from featurize.upkeep import measure_drift, open_sections, plan_prune, prune

OLD = time.time() - 100 * 86_400


@pytest.fixture
def store(tmp_path) -> Path:
    """Eight photos, of which one is there twice, through two settings of GLCM."""
    remembering = Store(tmp_path / "store", young_seconds=-1.0)  # also photos written a moment ago
    rng = np.random.default_rng(0)
    (tmp_path / "photos").mkdir()
    for i in range(8):
        Image.fromarray(rng.integers(0, 256, (20, 20, 3), dtype=np.uint8)).save(tmp_path / f"photos/{i}.png")
    for levels in (16, 32):
        run_extraction(list_source(tmp_path / "photos"), GLCM(levels=levels), store=remembering)
    return tmp_path / "store"


def section_of(store: Path, levels: int):
    return Store(store).section_of(GLCM(levels=levels))


def files(store: Path) -> dict[str, bytes]:
    return {str(p.relative_to(store)): p.read_bytes() for p in store.rglob("*") if p.is_file()}


def age(path: Path) -> None:
    os.utime(path, (OLD, OLD))


def test_list_counts_photos_without_the_golden_image(store, capsys):
    assert main(["store", "list", "--store", str(store)]) == 0
    header, *rows = capsys.readouterr().out.splitlines()
    assert header.split() == ["features", "fingerprint", "width", "images", "bytes", "last", "written"]
    sizes = {
        GLCM(levels=n).fingerprint()[:8]: sum(size for _, size, _ in section_of(store, n).shards())
        for n in (16, 32)
    }
    assert {tuple(row.split()[:5]) for row in rows} == {
        ("glcm", fingerprint, "5", "8", f"{size:,}") for fingerprint, size in sizes.items()
    }


def test_verify_finds_damage_sets_it_aside_and_fails_once(store, capsys):
    assert main(["store", "verify", "--store", str(store)]) == 0
    path = store / section_of(store, 32).name / section_of(store, 32).shards()[0][0]
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    assert main(["store", "verify", "--store", str(store)]) == 1
    assert "error: 1 damaged files were set aside" in capsys.readouterr().err
    assert main(["store", "verify", "--store", str(store)]) == 0


def test_sampling_the_same_code_drifts_by_nothing(store, capsys):
    assert main(["store", "verify", "--sample", "50%", "--store", str(store)]) == 0
    rows = [row.split() for row in capsys.readouterr().out.splitlines() if row.startswith("glcm")]
    assert [row[2:] for row in rows[2:]] == [["4", "8", "8", "0.00e+00"]] * 2


def test_sampling_names_the_drift_of_vectors_that_were_stored_wrongly(store, tmp_path, capsys):
    """Whole by its digest, and yet other numbers than the extractor makes now."""
    section = section_of(store, 32)
    table = run_extraction(list_source(tmp_path / "photos"), GLCM(), store=store).table
    plan = [r for r in plan_prune(Store(store), GLCM().fingerprint()) if "vectors" in r.what]
    prune(Store(store), plan)
    section.write(image_keys(list(table.sha256)), table.vectors["glcm"] * np.float32(1.5))
    drift = measure_drift(section_of(store, 32), Store(store), 100.0)
    assert (drift.n_stored, drift.n_found, drift.n_compared) == (8, 8, 8)
    assert drift.largest == pytest.approx(1 / 3, rel=1e-5)
    assert main(["store", "verify", "--sample", "100%", "--store", str(store)]) == 1
    assert "differ from those stored by up to 33.33%" in capsys.readouterr().err


def test_photos_that_are_gone_or_changed_are_left_out_of_the_sample(store, tmp_path):
    (tmp_path / "photos/0.png").unlink()
    Image.new("RGB", (5, 5)).save(tmp_path / "photos/1.png")
    drift = measure_drift(section_of(store, 32), Store(store), 100.0)
    assert (drift.n_stored, drift.n_compared, drift.largest) == (8, 6, 0.0)


def test_prune_is_a_dry_run_without_yes(store, capsys):
    before = files(store)
    assert main(["store", "prune", "--extractor", "glcm", "--store", str(store)]) == 0
    assert "vectors of glcm" in capsys.readouterr().out and files(store) == before


def test_prune_that_finds_nothing_says_why(store, capsys):
    for words, why in (
        ([], "name vectors with --extractor"),
        (["--older-than", "900d"], "no vectors are so named or so old"),
    ):
        assert main(["store", "prune", *words, "--store", str(store)]) == 0
        assert f"nothing to remove; {why}" in capsys.readouterr().err


def test_prune_removes_one_extractor_by_its_fingerprint_and_no_other(store):
    kept = section_of(store, 32).name
    fingerprint = GLCM(levels=16).fingerprint()[:12]
    assert main(["store", "prune", "--extractor", fingerprint, "--yes", "--store", str(store), "-q"]) == 0
    assert [s.name for s in open_sections(Store(store))] == [kept]
    assert len(section_of(store, 32).keys()) == 9 and not (store / section_of(store, 16).name).exists()


def test_prune_by_age_takes_what_is_older_and_leaves_the_rest(store):
    for name, _, _ in section_of(store, 16).shards():
        age(store / section_of(store, 16).name / name)
    assert main(["store", "prune", "--older-than", "101d", "--yes", "--store", str(store), "-q"]) == 0
    assert len(open_sections(Store(store))) == 2
    assert main(["store", "prune", "--older-than", "90d", "--yes", "--store", str(store), "-q"]) == 0
    assert [s.name for s in open_sections(Store(store))] == [section_of(store, 32).name]


def test_prune_clears_leftovers_but_nothing_that_may_be_in_use(store):
    section = store / section_of(store, 32).name
    (section / "damaged").mkdir()
    (section / "damaged" / "x.parquet").write_bytes(b"x")
    for name in ("old", "young"):
        (section / f".partial-{name}.parquet").write_bytes(b"x")
    age(section / ".partial-old.parquet")
    several = (
        GLCM().fingerprint()[:32] + "+" + "2" * 16
    )  # a network with outputs for this extractor and others
    for fingerprint in (GLCM().fingerprint(), several, "0" * 64, "1" * 64):
        save_frozen_graph(Store(store), fingerprint, b"network")
    for path in (store / "graphs").iterdir():
        if not path.name.startswith("1"):
            age(path)
    before = files(store)
    assert main(["store", "prune", "--yes", "--store", str(store), "-q"]) == 0
    gone = {Path(name).name[:12] for name in set(before) - set(files(store))}
    assert gone == {"x.parquet", ".partial-old", "0" * 12}
    assert not (section / "damaged").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["list", "--store", "/nowhere/at/all"], "error: there is no store /nowhere/at/all"),
        (["list", "--store", "~no-such-user/store"], "error: there is no store ~no-such-user/store"),
        (["prune", "--older-than", "soon"], "error: 'soon' is no age"),
        (["prune", "--extractor", "vgg"], "error: the store holds nothing of 'vgg'"),
    ],
)
def test_bad_arguments_are_one_error_and_one_hint(store, capsys, arguments, message):
    more = [] if "--store" in arguments else ["--store", str(store)]
    assert main(["store", *arguments, *more]) == 1
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == message and lines[1].startswith("hint: ") and len(lines) == 2


def test_drift_is_relative_and_never_hides_a_nan():
    zero = np.zeros(2)
    assert relative_drift(zero, zero) == 0 and relative_drift(np.ones(2), zero) == np.inf
    assert relative_drift(np.array([np.nan, 1]), np.ones(2)) == np.inf
    assert relative_drift(np.array([0.0, 1.1]), np.array([0.0, 1.0])) == pytest.approx(0.1)
