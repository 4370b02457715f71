"""What outputs replace: files of their own kind and nothing else, through links, with the modes that were there."""

import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from builders import made_table, run, run_process, write_folds, write_photos

from classify import load_model
from featurize import FeatureTable

OUTPUTS = {
    "scan --json": "featurize scan photos --json {} --quiet",
    "extract -o": "featurize extract photos -o {} --features color --store store --rejects new.csv --quiet",
    "extract --rejects": "featurize extract photos -o new.parquet --rejects {} --features color --store store --quiet",
    "train -o": "classify train t.parquet -o {} --quiet",
    "predict -o": "classify predict m.model t.parquet --quiet -o {}",
    "predict --format csv": "classify predict m.model t.parquet --quiet --format csv -o {}",
    "predict --format jsonl": "classify predict m.model t.parquet --quiet --format jsonl -o {}",
    "split -o table": "evaluate split t.parquet --quiet -o {}",
    "split -o folds": "evaluate split t.parquet --cv 3 --quiet -o {}",
    "test --json": "evaluate test m.model t.parquet --quiet --json {}",
    "test --report": "evaluate test m.model t.parquet --quiet --report {}",
    "duplicates": "evaluate duplicates t.parquet --quiet --group-duplicates {}",
}
# What stands in the way, by the ending that makes each command write there, and the kind that a message calls it.
KINDS = {
    "photo": "a photo",
    "table": "a table of features",
    "model": "a model",
    "page": "an HTML page",
    "json": "JSON",
    "csv": "CSV",
    "notes": "plain text",
    "unknown": "a file of an unknown kind",
}
WRITES = {"train -o": "model", "scan --json": "json", "test --json": "json", "test --report": "page"}
WRITES |= dict.fromkeys(["extract -o", "split -o table", "duplicates"], "table")
WRITES |= dict.fromkeys(["extract --rejects", "predict --format csv", "split -o folds"], "csv")
WRITES |= {"predict -o": "notes", "predict --format jsonl": "json lines"}
ENDINGS = {
    "extract -o": ".parquet",
    "split -o table": ".parquet",
    "duplicates": ".parquet",
    "test --report": ".html",
    "split -o folds": ".csv",
}


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    """A folder with a table, a model, photos, and a file of each kind."""
    folder = tmp_path_factory.mktemp("made")
    made_table().write(folder / "t.parquet")
    assert run("classify", "train", folder / "t.parquet", "-o", folder / "m.model", "--quiet").status == 0
    write_photos(folder / "photos", [f"{label}/{i}.png" for label in "ab" for i in range(3)])
    write_photos(folder, ["photo.jpg"])
    (folder / "page").write_text("<!doctype html>\n<title>mine</title>\n")
    (folder / "json").write_text('{\n "mine": 1\n}\n')
    write_folds(folder / "csv", [0, 1, 2])
    (folder / "notes").write_text("what I saw, today\nand yesterday\n")
    (folder / "unknown").write_bytes(b"\x93\x00\xff mine")
    for kind, source in (("photo", "photo.jpg"), ("table", "t.parquet"), ("model", "m.model")):
        (folder / kind).write_bytes((folder / source).read_bytes())
    return folder


@pytest.fixture
def place(made, tmp_path, monkeypatch) -> Path:
    """A folder of this test's own with the same inputs."""
    for name in ("t.parquet", "m.model", "photos", "store"):
        (made / "store").mkdir(exist_ok=True)
        (tmp_path / name).symlink_to(made / name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("output", OUTPUTS)
def test_a_file_of_another_kind_is_never_replaced(made, place, output):
    # Every kind for two commands; for the others those that would hurt most.
    every = output in ("scan --json", "train -o")
    for kind, words in KINDS.items():
        if kind == WRITES[output] or not (every or kind in ("photo", "csv", "model")):
            continue
        path = place / f"{kind}{ENDINGS.get(output, '')}"
        path.write_bytes((made / kind).read_bytes())
        done = run(OUTPUTS[output].format(path))
        assert done.status == 1 and f"{path} is {words}" in done.error, (kind, done.err)
        assert path.read_bytes() == (made / kind).read_bytes()


@pytest.mark.parametrize("output", [name for name, kind in WRITES.items() if kind in KINDS])
def test_a_file_of_the_same_kind_is_replaced_and_an_empty_one(made, place, output):
    path = place / f"mine{ENDINGS.get(output, '')}"
    for before in (made / WRITES[output]).read_bytes(), b"":
        path.write_bytes(before)
        path.chmod(0o600)
        inode = path.stat().st_ino
        done = run(OUTPUTS[output].format(path))
        assert done.status == 0, done.err
        assert path.stat().st_ino != inode and stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize("output", OUTPUTS)
def test_what_a_command_wrote_it_may_write_again(place, output):
    path = place / f"again{ENDINGS.get(output, '')}"
    for _ in range(2):
        done = run(OUTPUTS[output].format(path))
        assert done.status == 0, done.err


def test_names_decide_nothing(place):
    """A foreign Parquet file that speaks of featurize, names with line ends, a long line cut inside a character."""
    pq.write_table(pa.table({"image": ["featurize/1.jpg"]}), "foreign.parquet")
    assert "of another maker" in run("classify train t.parquet -o foreign.parquet").error
    for name, text, kind in (
        ("odd.csv", 'image,reason\n"a\rb\u2028c.jpg",gone\n', "CSV"),
        ("long.json", '["' + "é" * 40_000 + '"]', "JSON"),
    ):
        Path(name).write_text(text, encoding="utf-8", newline="")
        assert f"{name} is {kind}, and" in run(f"classify train t.parquet -o {name}").error


def test_links_are_followed_and_the_message_says_where_to(place):
    (place / "far").mkdir()
    (place / "far" / "real.model").write_bytes((place / "m.model").read_bytes())
    (place / "link.model").symlink_to("far/real.model")
    done = run("classify train t.parquet -o link.model --head knn")
    assert done.status == 0 and "far/real.model (to which link.model links)" in done.err
    assert (place / "link.model").is_symlink() and "knn" in load_model("far/real.model").training["head"]


@pytest.mark.parametrize("link", [os.symlink, os.link])
def test_a_photo_by_another_name_is_still_a_photo(place, link):
    write_photos(place, ["own.png"])
    before = (place / "own.png").read_bytes()
    link("own.png", "result.json")
    assert "result.json is a photo" in run("featurize scan photos --json result.json").error
    assert (place / "own.png").read_bytes() == before


@pytest.mark.parametrize("link", [os.symlink, os.link])
def test_an_input_by_another_name_is_still_an_input(place, link):
    (place / "map.csv").write_text("label,new_label\nant,a\nbee,b\ncat,\n")
    link("map.csv", "same.csv")
    done = run("evaluate split t.parquet --cv 3 -o same.csv --folds map.csv")
    assert done.status != 0
    (place / "costs.csv").write_text("label,predicted,cost\n")
    done = run("featurize extract map.csv -o x.parquet --rejects same.csv --features color")
    assert done.status == 1 and "same.csv is an input" in done.error


def test_a_table_may_be_written_over_itself(made, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "own.parquet").write_bytes((made / "t.parquet").read_bytes())
    assert run("evaluate split own.parquet -o own.parquet").status == 0
    assert "testing" in FeatureTable.read("own.parquet").split


@pytest.mark.skipif(sys.platform != "linux", reason="/dev/stdout and /dev/fd")
class TestStreams:
    def test_stdout_by_name_gets_the_file_and_then_the_text(self, place):
        done = run_process("featurize scan photos --json /dev/stdout", cwd=place)
        content, end = json.JSONDecoder().raw_decode(done.out)
        text = done.out[end:].strip()
        assert content["counts"] and text == run("featurize scan photos").out.strip() != ""
        assert Path("/dev/stdout").is_symlink()

    def test_a_dash_is_stdout_which_then_gets_the_file_alone(self, place, capfd):
        for command, read in (
            ("evaluate test m.model t.parquet --json -", json.loads),
            ("featurize scan photos --json -", json.loads),
            ("classify watch m.model t.parquet --json -", json.loads),
            ("classify predict m.model t.parquet --format csv -o -", lambda text: text.index("image,label")),
        ):
            capfd.readouterr()
            done = run(command)
            assert done.status in (0, 3) and not done.out, (command, done.err)
            assert read(capfd.readouterr().out) is not None
        for command in ("evaluate test m.model t.parquet --predictions -", "evaluate split t.parquet -o -"):
            assert run(command).status == 1 and not Path("-").exists()
        assert not Path("-").exists()

    def test_stdout_into_a_file_loses_nothing(self, place):
        with open("both.txt", "wb") as stream:
            command = [sys.executable, "-m", "featurize", "scan", "photos", "--json", "/dev/stdout"]
            assert subprocess.run(command, stdout=stream).returncode == 0
        text = (place / "both.txt").read_text()
        content, end = json.JSONDecoder().raw_decode(text)
        assert content["counts"] and text[end:].strip() == run("featurize scan photos").out.strip()

    def test_a_pipe_gets_all_of_it(self, place):
        os.mkfifo("pipe")
        with subprocess.Popen(["cat", "pipe"], stdout=subprocess.PIPE) as reader:
            done = run("classify train t.parquet -o pipe --quiet")
            (place / "read.model").write_bytes(reader.stdout.read())
        assert done.status == 0 and load_model("read.model").labels == ["ant", "bee", "cat"]
        assert stat.S_ISFIFO(os.stat("pipe").st_mode)

    def test_the_null_device_takes_anything(self, place):
        assert run("featurize scan photos --json /dev/null").status == 0
        assert stat.S_ISCHR(os.stat("/dev/null").st_mode)
