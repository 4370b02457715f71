"""Streams that are closed or not read, signals, killed workers, code that lies about: a status of 0 means done."""

import contextlib
import importlib
import io
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from builders import hears_sigint, made_table, network_table, run, run_process, unread, write_photos

from classify import load_model

ENDLESS = "mlp:max_iter=100000,tol=0,n_iter_no_change=100000"
HANG = 120  # seconds, after which a test is broken


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A folder with a table, a model and photos."""
    folder = tmp_path_factory.mktemp("streams")
    write_photos(folder / "photos", ["a/1.png", "b/2.png"])
    made_table().write(folder / "t.parquet")
    assert run("classify", "train", folder / "t.parquet", "-o", folder / "m.model", "--quiet").status == 0
    return folder


def shell(command: str, folder: Path) -> subprocess.CompletedProcess:
    """The command by a shell, ``@`` standing for Python with ``-m``."""
    text = command.replace("@", f"{sys.executable} -m ")
    return subprocess.run(
        ["bash", "-c", f"set -o pipefail; {text}"], cwd=folder, capture_output=True, text=True
    )


@pytest.mark.parametrize(
    "command, output",
    [
        ("classify train t.parquet -o {}", "a.model"),
        ("evaluate compare t.parquet --features good --heads knn --cv 2 -j 1 --json {}", "a.json"),
        ("evaluate split t.parquet -o {}", "a.parquet"),
        ("classify predict m.model t.parquet -o {}", "a.csv"),
    ],
)
def test_messages_that_nobody_reads_stop_no_work(folder, monkeypatch, command, output):
    monkeypatch.chdir(folder)
    package, *words = command.format(output).split()
    with unread() as stream, contextlib.redirect_stderr(stream), contextlib.redirect_stdout(io.StringIO()):
        assert importlib.import_module(f"{package}.cli").main(words) == 0
        print("nothing waits for a reader", file=stream)
    assert (folder / output).stat().st_size > 0


def test_a_process_whose_messages_nobody_reads_keeps_its_status(folder):
    done = shell("@featurize scan gone 2>&1 >out.txt | head -n 0; exit ${PIPESTATUS[0]}", folder)
    assert done.returncode == 1 and done.stderr == ""


CLOSED = {
    "stdin": ("@classify predict m.model - <&-", 1),
    "stdout": ("@featurize scan photos >&-", 1),
    "stderr": ("@featurize scan photos --json silent.json 2>&-", 0),
    "all": ("@classify train t.parquet -o all.model <&- >&- 2>&-", 0),
}


@pytest.mark.parametrize("which", CLOSED)
def test_a_closed_stream_is_no_traceback_and_no_false_success(folder, which):
    command, status = CLOSED[which]
    done = shell(command, folder)
    assert done.returncode == status and "Traceback" not in done.stderr
    if which in ("stdin", "stdout"):
        assert f"error: {which} is closed" in done.stderr
    else:
        assert (folder / re.search(r"(?:-o|--json) (\S+)", command)[1]).stat().st_size > 0


def test_what_stands_for_a_closed_stdout_is_closed_too(folder):
    """Some libraries switch on Python's warnings, and the last line was one of a file left open."""
    done = shell("PYTHONWARNINGS=default @featurize scan photos >&-", folder)
    assert done.stderr.splitlines()[-1].startswith("hint: ") and "ResourceWarning" not in done.stderr


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a full disk that needs no disk")
def test_a_full_disk_under_stdout_is_an_error(folder):
    done = shell("@featurize scan photos >/dev/full", folder)
    assert done.returncode == 1 and done.stderr.splitlines()[-2].startswith("error: ")
    assert "No space left" in done.stderr and "Exception" not in done.stderr


@pytest.mark.parametrize("head", [ENDLESS, "mlp --steps 100000000", "softmax --steps 100000000"])
@pytest.mark.parametrize("number, status", [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_ends_every_training_with_its_status(folder, tmp_path, monkeypatch, head, number, status):
    """Sent to this process, where a training begins at once."""
    monkeypatch.chdir(folder)
    model = tmp_path / "signal.model"

    def send(*_) -> None:
        if "--steps" not in head or "\nstep " in sys.stderr.getvalue():  # a step that can be kept
            signal.setitimer(signal.ITIMER_REAL, 0)
            os.kill(os.getpid(), number)

    before = signal.signal(signal.SIGALRM, send)
    signal.setitimer(signal.ITIMER_REAL, 0.3, 0.1)
    try:
        with hears_sigint(number):
            done = run(f"classify train t.parquet -o {model} --head {head}")
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert done.status == status
    assert done.error == ("terminated" if status == 143 else "interrupted")
    if "--steps" in head:
        assert load_model(model).training["steps"]["interrupted_at"] > 0
    else:
        assert not model.exists()


def test_a_signal_ends_a_fit_of_libsvm_and_leaves_nothing(folder, tmp_path):
    """Which computes in C, in one call that has no end here: that the command ends is due to the signal."""
    command = [sys.executable, "-m", "classify", "train", folder / "t.parquet", "--features", "noise"]
    command += ["--head", "svm:C=1e9,tol=1e-30", "-o", tmp_path / "m.model"]
    with hears_sigint(signal.SIGHUP):
        process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    with process:
        assert process.stderr.readline().startswith("train uses all rows")
        time.sleep(1)
        process.send_signal(signal.SIGHUP)
        try:
            at_once, message, hint = process.communicate(timeout=HANG)[1].splitlines()
        finally:
            process.kill()
    assert process.returncode == 129 and message.startswith("error: ") and hint.startswith("hint: ")
    assert at_once == "stopping; vectors that were computed are kept"
    assert list(tmp_path.iterdir()) == []


STARTED = """
import os, pathlib, time
from sklearn.dummy import DummyClassifier

class Started(DummyClassifier):
    def fit(self, X, y):
        pathlib.Path("..", "started", str(os.getpid())).touch()
        time.sleep(100)
"""


def test_a_killed_worker_is_an_error_and_leaves_no_folder_and_nothing_of_the_current_folder_is_run(tmp_path):
    site, here, started = tmp_path / "site", tmp_path / "here", tmp_path / "started"
    for folder in (site, here, started):
        folder.mkdir()
    (site / "head.py").write_text(STARTED)
    for name in ("select", "random", "signal"):
        (here / f"{name}.py").write_text(f"open({str(tmp_path / 'EXECUTED')!r}, 'w').close()")
    network_table(2000).write(here / "t.parquet")  # large enough for processes from the start
    words = ["compare", "t.parquet", "--features", "net", "--heads", "head.Started", "--cv", "2", "-j2"]
    process = subprocess.Popen(
        [sys.executable, "-m", "evaluate", *words],
        cwd=here,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"TMPDIR": str(tmp_path), "PYTHONPATH": str(site)},
    )
    with process:
        while not (workers := [one.name for one in started.iterdir()]) and process.poll() is None:
            time.sleep(0.02)
        assert workers and int(workers[0]) != process.pid
        os.kill(int(workers[0]), signal.SIGKILL)
        messages = process.stderr.read()
    assert process.returncode == 1 and "Traceback" not in messages
    error, hint = messages.splitlines()[-2:]
    assert error.startswith("error: a process that fitted heads was killed")
    assert "--jobs 1" in hint and "another head" in hint
    assert list(tmp_path.glob("joblib*")) == []
    assert not (tmp_path / "EXECUTED").exists()


@pytest.mark.parametrize(
    ("variable", "value", "command"),
    [
        ("SKLEARN_WORKING_MEMORY", "x", "classify train t.parquet -o n.model"),
        (
            "MPLBACKEND",
            "nosuch",
            "evaluate compare t.parquet --features good --heads dummy -j 1 --report r.html",
        ),
    ],
)
def test_a_variable_that_a_library_cannot_read_is_one_error_that_names_it(variable, value, command, folder):
    done = run_process(command, cwd=folder, **{variable: value})
    assert done.status == 1 and f"the environment variable {variable} is '{value}'" in done.error
