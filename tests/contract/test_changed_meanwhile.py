"""What changes while a command works: photos, store, clock, current folder; and packages that are broken."""

import os
import shlex
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from builders import made_table, noise, run, run_process, write_photos

from featurize import BottleheadError, FeatureTable, FunctionExtractor, Store, extract

N_PHOTOS = 90  # more than are read ahead


@pytest.fixture
def photos(tmp_path, monkeypatch) -> Path:
    """Many small photos of long ago; the current folder is the one beside them."""
    monkeypatch.chdir(tmp_path)
    write_photos(tmp_path / "photos", [f"a/{n:02}.png" for n in range(N_PHOTOS)])
    for path in Path("photos/a").iterdir():
        os.utime(path, (1e9, 1e9))
    return Path("photos")


def when_begun(act) -> FunctionExtractor:
    """Features that do something as soon as the first photo is computed."""
    acts = [act]

    def mean(rgb):
        if acts and rgb.shape[:2] == (24, 24):  # and not the synthetic image
            acts.pop()()
        return [rgb.mean()]

    return FunctionExtractor(mean, "mean", version=1)


# -- photos ---


def _replaced_by(make):
    def change(path: Path) -> None:
        path.unlink()
        make(path)

    return change


CHANGES = {
    "removed": (Path.unlink, "No such file"),
    "another photo": (lambda path: noise(seed=99).save(path), "changed while"),
    "truncated": (lambda path: os.truncate(path, 300), "changed while"),
    "emptied": (lambda path: os.truncate(path, 0), "changed while"),
    "a folder": (_replaced_by(Path.mkdir), "s a directory"),
    "a pipe": (_replaced_by(os.mkfifo), "not a regular file"),
    "a device": (_replaced_by(lambda path: path.symlink_to("/dev/zero")), "not a regular file"),
    "a loop": (_replaced_by(lambda path: path.symlink_to(path.name)), "symbolic links"),
}


@pytest.mark.skipif(os.name == "nt", reason="pipes and devices")
@pytest.mark.parametrize("change", CHANGES)
def test_a_photo_that_changes_after_it_was_listed_is_left_out_with_the_reason(photos, caplog, change):
    how, reason = CHANGES[change]
    last = photos / "a" / f"{N_PHOTOS - 1}.png"
    extract(photos, "color", store=Store("store", young_seconds=0))  # so that the index knows what each holds
    n_open = len(os.listdir("/dev/fd"))
    table = extract(photos, when_begun(lambda: how(last)), store="store", jobs=1)
    assert len(os.listdir("/dev/fd")) <= n_open  # what tests before left may be closed meanwhile
    assert len(table) == N_PHOTOS - 1 and "a/89.png" not in table.image
    assert "left out a/89.png" in caplog.text and reason in caplog.text


def test_folders_in_place_of_photos_do_not_use_up_the_open_files(tmp_path):
    names = [f"{n}.png" for n in range(40)]
    for name in names:
        (tmp_path / name).mkdir()
    write_photos(tmp_path, ["photo.png"])
    (tmp_path / "m.csv").write_text("\n".join(["image", "photo.png", *names, ""]))
    n_open = len(os.listdir("/dev/fd"))
    assert "1 images will be used, 40 rejected" in run("featurize", "scan", tmp_path / "m.csv").out
    assert len(os.listdir("/dev/fd")) <= n_open  # what tests before left may be closed meanwhile


# -- the store ---

STORE_CHANGES = {
    "deleted": lambda: shutil.rmtree("store"),
    "moved away": lambda: os.rename("store", "elsewhere"),
    "its sections deleted": lambda: [shutil.rmtree(path) for path in Path("store").glob("*-*")],
    "pruned": lambda: run("featurize store prune --store store --older-than 0d --yes"),
}


@pytest.mark.parametrize("change", STORE_CHANGES)
def test_a_store_that_goes_in_the_middle_costs_no_row_and_the_next_one_is_whole(photos, change):
    names = sorted(photos.glob("a/*"))[:12]
    extract(names, "color", store="store")
    table = extract(names, ["color", when_begun(STORE_CHANGES[change])], store="store", jobs=1)
    assert len(table) == 12 and np.isfinite(table.select("color")).all()
    done = run("featurize store verify --store store")
    assert done.status == 0 and "damaged part" not in done.err
    assert [line.split()[-1] for line in done.out.splitlines()[1:]] == ["0", "0", "0"]  # with the hashes


def test_a_lost_description_costs_no_vectors(photos):
    names = sorted(photos.glob("a/*"))[:3]
    extract(names, "color", store="store")
    next(Path("store").glob("color-*/extractor.json")).unlink()
    lines = run("featurize store verify --store store").out.splitlines()
    assert [line.split()[-2:] for line in lines if line.startswith("color")] == [["2", "1"]]
    assert len(list(Path("store").glob("color-*/*.parquet"))) == 2


def test_a_store_that_becomes_a_file_is_an_error(photos):
    def become_a_file():
        shutil.rmtree("store")
        Path("store").write_text("mine")

    with pytest.raises(BottleheadError, match=r"cannot be (read|written): Not a directory"):
        extract(photos, when_begun(become_a_file), store="store", jobs=1)
    assert Path("store").read_text() == "mine"


@pytest.mark.parametrize("command", ["list", "verify", "prune --yes"])
@pytest.mark.parametrize("store", ["nowhere", "file:///nowhere/store", "memory://nowhere"])
def test_a_store_that_is_not_there_is_an_error_wherever_it_would_be(store, command, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert run(f"featurize store {command} --store {store}").error == f"there is no store {store}"
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("words, named", [("--store ''", ""), ("", ""), ("", " ")])
def test_a_store_without_a_name_is_the_default_one(photos, monkeypatch, words, named):
    monkeypatch.setenv("FEATURIZE_STORE", named)
    monkeypatch.setenv("XDG_CACHE_HOME", os.path.abspath("cache"))
    before = set(os.listdir()) | {"cache", "t.npz", "t.rejects.csv"}
    assert run(f"featurize extract photos -o t.npz --features color {words}").status == 0
    assert set(os.listdir()) == before and list(Path("cache").rglob("extractor.json"))


def test_a_message_before_the_progress_bar_leaves_none_behind(tmp_path):
    write_photos(tmp_path, ["a.png"])
    extract(tmp_path, "color", store=tmp_path / "store")
    shard = next(tmp_path.glob("store/color-*/*.parquet"))
    shard.write_bytes(b"damaged")
    lines = run("featurize", "store", "verify", "--store", tmp_path / "store").err.split("\n")
    assert [line.partition(":")[0] for line in lines] == ["warning", "error", "hint", ""]


# -- the clock, the current folder, the environment ---


@pytest.fixture
def clock(monkeypatch):
    """Sets the clock that this process reads."""

    def be(seconds: float) -> None:
        localtime = time.localtime
        monkeypatch.setattr(time, "time", lambda: seconds)
        monkeypatch.setattr(time, "localtime", lambda when=None: localtime(seconds if when is None else when))

    return be


@pytest.mark.parametrize("seconds, year", [(0, 1970), (4.5e9, 2112)])
def test_a_clock_that_no_model_can_hold_is_an_error_before_the_work(tmp_path, clock, seconds, year):
    made_table().write(tmp_path / "t.parquet")
    clock(seconds)
    done = run("classify", "train", tmp_path / "t.parquet", "-o", tmp_path / "m.model")
    assert f"clock says that it is the year {year}" in done.error and "uses all rows" not in done.err


def test_with_the_clock_set_back_nothing_is_trusted_or_old(photos, clock):
    extract(photos, "color", store="store")
    clock(time.time() - 40 * 365 * 86400)
    noise(seed=99).save(photos / "a" / "00.png")
    table = extract(photos, "color", store="store")
    noise(seed=98).save(photos / "a" / "00.png")
    assert extract(photos, "color", store="store").sha256[0] != table.sha256[0]
    assert "nothing to remove" in run("featurize store prune --store store --older-than 1h --yes").err


@pytest.mark.parametrize("age", ["9" * 30 + "y", "9" * 400 + "y"])
def test_an_age_beyond_all_clocks_removes_nothing(tmp_path, age):
    assert run(f"featurize store prune --store {tmp_path} --older-than {age} --yes").status == 0


@pytest.mark.skipif(os.name == "nt", reason="a folder in use cannot be removed")
def test_a_current_folder_that_was_removed_is_named_and_disturbs_no_whole_path(photos, tmp_path, monkeypatch):
    words = ["extract", photos.absolute(), "--features", "color", "--store", tmp_path / "store", "-o"]
    gone, output = tmp_path / "gone", tmp_path / "t.npz"
    gone.mkdir()
    monkeypatch.chdir(gone)
    command = shlex.join([sys.executable, "-m", "featurize", *map(str, words), str(output)])
    assert subprocess.run(["bash", "-c", f"rmdir ../gone; {command}"]).returncode == 0 and output.exists()
    done = run("featurize", *words, "t.npz")
    assert done.status == 1 and done.err.startswith("error: the current folder was removed\nhint: ")


def test_a_temporary_folder_that_cannot_be_written_is_an_error(tmp_path):
    wide = np.random.default_rng(0).normal(size=(1500, 200))
    FeatureTable.from_arrays({"wide": wide}, label=["a", "b"] * 750).write(tmp_path / "t.parquet")
    words = [
        "evaluate",
        "compare",
        tmp_path / "t.parquet",
        "--heads",
        "mlp",  # softmax takes so little time here that it asks for no processes
        "-j",
        "2",
    ]
    done = run_process(*words, JOBLIB_TEMP_FOLDER=str(tmp_path / "t.parquet" / "below"))
    assert "cannot be handed to other processes" in done.error


# -- packages of others ---

BROKEN = {
    "missing": "nowhere:thing",
    "nothing": "broken_families:nothing",
    "number": "broken_families:NUMBER",
    "needs": "broken_families:Needs",
    "raises": "broken_families:Raises",
    "exits": "broken_exits:thing",
    "syntax": "broken_syntax:thing",
}


@pytest.fixture
def broken_package(tmp_path, monkeypatch):
    site = tmp_path / "site"
    about = site / "broken-1.0.dist-info"
    about.mkdir(parents=True)
    (about / "METADATA").write_text("Name: broken\nVersion: 1.0\n")
    points = BROKEN | {"glcm": "nowhere:thing", "resnet50": "nowhere:thing", "fails": "broken_families:fails"}
    points |= {"leaves": "broken_families:leaves"}
    text = "".join(f"{name} = {value}\n" for name, value in points.items())
    (about / "entry_points.txt").write_text(f"[featurize.extractors]\n{text}")
    (site / "broken_families.py").write_text("""
NUMBER = 5
class Needs:
    def __init__(self, more): pass
class Raises:
    def __init__(self): raise OSError("no licence")
def fails(rgb): raise KeyError("colour")
def leaves(rgb): raise SystemExit(0)
fails.version = leaves.version = 1
""")
    (site / "broken_exits.py").write_text("raise SystemExit(0)")
    (site / "broken_syntax.py").write_text("def thing(:")
    monkeypatch.syspath_prepend(str(site))
    yield
    for name in ("broken_families", "broken_exits", "broken_syntax"):
        sys.modules.pop(name, None)


def test_broken_packages_disturb_no_features_of_ours(broken_package, photos):
    assert run("featurize extract photos -o t.npz --features glcm --store store").status == 0
    assert run("featurize backbones").status == 0
    assert "exits" in run("featurize extract photos -o t.npz --features nosuch").hint


@pytest.mark.parametrize("name", [*BROKEN, "fails", "leaves"])
def test_broken_features_are_named_when_they_are_asked_for(broken_package, photos, name):
    done = run(f"featurize extract photos -o broken.npz --features {name} --store store")
    assert done.status == 1 and name in done.error and not Path("broken.npz").exists()
    assert name not in BROKEN or f"entry point {BROKEN[name]} of broken" in done.error


def test_a_function_that_fails_keeps_its_own_error_as_the_cause():
    with pytest.raises(BottleheadError) as error:
        FunctionExtractor(lambda rgb: rgb.nothing, "mine", version=1).transform([noise()])
    assert isinstance(error.value.__cause__, AttributeError)
