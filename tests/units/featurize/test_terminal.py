"""What the commands share: exit status, the error and hint lines, common options."""

import argparse
import importlib
import importlib.metadata
import io
import logging
import os
import re
import signal
import subprocess
import sys
import time

import builders
import pytest
from builders import hears_sigint

from featurize.commands import COMMANDS, OptionsError, add_command, key_values, new_parser, run_command
from featurize.errors import BottleheadError, UsageError
from featurize.networks.engines import silent_stderr
from featurize.terminal import log, progress, say_at_once


def run(action, *argv: str) -> int:
    """Run a command that does `action`; an error is raised."""

    def act(args: argparse.Namespace) -> int:
        raise action

    parser = new_parser("tool", "Does things.", "tool act")
    commands = parser.add_subparsers(dest="command", required=True)
    add_command(commands, "act", action if callable(action) else act, "Acts.", "tool act --jobs 2")
    return run_command(parser, ["act", *argv])


@pytest.mark.parametrize("error, status, first", [
    (BottleheadError("it broke", "mend it"), 1, "error: it broke"),
    (OptionsError("--a without --b", "add --b"), 2, "error: --a without --b"),
    (UsageError("line one\nline two", "a\n  b"), 1, "error: line one line two"),
    (PermissionError(13, "Not allowed", "x.jpg"), 1, "error: x.jpg: Not allowed"),
    (MemoryError(), 1, "error: out of memory"), (KeyboardInterrupt(), 130, "error: interrupted"),
])  # fmt: skip
def test_known_errors_are_one_error_and_one_hint_line(error, status, first, capsys):
    assert run(error) == status
    out, err = capsys.readouterr()
    lines = err.splitlines()
    assert out == "" and len(lines) == 2
    assert lines[0] == first and lines[1].startswith("hint: ")
    with pytest.raises(ZeroDivisionError):  # a fault of ours shows its traceback
        run(ZeroDivisionError())


PROGRAM = """
import sys, time
from featurize.commands import add_command, new_parser, run_command
def talk(args):
    for line in range(int(sys.argv[2])):
        print("é" * 70)
def wait(args):
    try:
        print("ready", flush=True)
        time.sleep(60)
    finally:
        print("tidied", flush=True)
parser = new_parser("tool", "Does things.", "tool act")
add_command(parser.add_subparsers(), "act", {"talk": talk, "wait": wait}[sys.argv[1]], "Acts.", "tool act")
sys.exit(run_command(parser, ["act"]) or 0)
"""


@pytest.mark.parametrize("n_lines", [1, 10_000])
def test_a_reader_that_has_seen_enough_is_no_error(n_lines):
    command = [sys.executable, "-c", PROGRAM, "talk", str(n_lines)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 0


def test_closed_streams_and_ascii_pipes_lose_no_work():
    command = [sys.executable, "-c", PROGRAM, "talk", "1"]
    ascii_only = os.environ | {"PYTHONIOENCODING": "ascii"}
    assert subprocess.check_output(command, env=ascii_only) == b"\\xe9" * 70 + b"\n"
    for closed, status in (("2>&-", 0), (">&-", 1)):  # what would be printed on stdout is lost
        assert subprocess.run(["sh", "-c", f'exec "$@" {closed}', "sh", *command]).returncode == status


@pytest.mark.parametrize(("argv", "message"), [
    ("--jobs 0", "--jobs"), ("--jobs two", "--jobs"), ("--seed -1", "--seed"),
    ("--job=2 word --colour", "unrecognized arguments: --job=2 word --colour; perhaps --jobs is meant\n"),
])  # fmt: skip
def test_wrong_usage_exits_with_2_and_shows_what_the_command_takes(argv, message, capsys):
    with pytest.raises(SystemExit) as caught:
        run(lambda args: 0, *argv.split())
    usage, error = capsys.readouterr().err.rsplit("tool act: error: ", 1)
    assert caught.value.code == 2 and message in error
    assert "usage: tool act [-h]" in usage and "[--jobs N]" in usage


def test_a_list_that_swallows_what_is_required_is_explained(capsys):
    parser = new_parser("tool", "Does things.", "tool act")
    command = add_command(parser.add_subparsers(), "act", lambda args: 0, "Acts.", "tool act")
    command.add_argument("source", metavar="SOURCE")
    command.add_argument("--features", nargs="+")
    with pytest.raises(SystemExit):
        run_command(parser, ["act", "--features", "glcm", "photos"])
    assert "required: SOURCE (--features take every word up to the next option" in capsys.readouterr().err


@pytest.mark.parametrize(
    "number, status, message",
    [
        (signal.SIGTERM, 143, "terminated"),
        (signal.SIGINT, 130, "interrupted"),
        (signal.SIGHUP, 129, "the terminal was closed"),
    ],
)
def test_a_process_that_is_asked_to_end_tidies_up(number, status, message):
    command = [sys.executable, "-c", PROGRAM, "wait"]
    with hears_sigint(number):
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    with process:
        assert process.stdout.readline() == "ready\n"
        process.send_signal(number)
        out, err = process.communicate()
    assert out == "tidied\n" and process.returncode == status
    assert err.splitlines()[:2] == ["stopping; vectors that were computed are kept", f"error: {message}"]


def test_an_interrupt_while_a_library_chatters_is_told_at_once_and_shows_no_chatter(capfd):
    with pytest.raises(KeyboardInterrupt), silent_stderr(re.compile(b"")):
        os.write(2, b"cudart_stub.cc: could not find drivers\n")
        say_at_once("stopping")
        assert capfd.readouterr().err == "stopping\n"
        raise KeyboardInterrupt
    os.write(2, b"the terminal again\n")
    assert capfd.readouterr().err == "the terminal again\n"


@pytest.mark.parametrize(
    ("main", "module"),
    [(name, f"{name}.cli") for name in ("featurize", "classify", "evaluate")]
    + [("bottlehead", "evaluate.whole_job.command")],
)
def test_a_command_of_another_program_is_told_where_it_is(main, module, capsys):
    parser = importlib.import_module(module).build_parser()
    (commands,) = [one for one in parser._actions if isinstance(one, argparse._SubParsersAction)]
    assert set(COMMANDS[main].split()) == set(commands.choices)
    other = "evaluate" if main != "evaluate" else "classify"
    name = COMMANDS[other].split()[0]
    with pytest.raises(SystemExit):
        parser.parse_args([name])
    assert f"perhaps {other} {name} is meant" in capsys.readouterr().err


def test_a_process_under_nohup_goes_on_when_the_terminal_is_closed():
    command = ["nohup", sys.executable, "-c", PROGRAM, "wait"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGHUP)
        process.send_signal(signal.SIGTERM)
        process.communicate()
    assert process.returncode == 143


def say_everything(args: argparse.Namespace) -> int:
    log.debug("detail")
    log.info("news")
    log.warning("beware")
    log.error("wrong")
    return 0


@pytest.mark.parametrize("argv, lines", [
    (["--quiet"], ["wrong"]), ([], ["news", "warning: beware", "wrong"]),
    (["--verbose"], ["detail", "news", "warning: beware", "wrong"]),
])  # fmt: skip
def test_messages_go_to_stderr_at_the_level_asked_for(argv, lines, capsys):
    run(say_everything, *argv)
    out, err = capsys.readouterr()
    assert out == "" and err.splitlines() == lines


def test_a_command_leaves_the_logging_of_its_host_as_it_was(caplog):
    before = log.level, log.propagate, list(log.handlers)
    run(say_everything, "--quiet")
    assert (log.level, log.propagate, log.handlers) == before
    with caplog.at_level(logging.WARNING, log.name):
        log.warning("heard by the host")
    assert "heard by the host" in caplog.text


def test_common_options_and_the_example_stand_in_every_help(capsys):
    with pytest.raises(SystemExit) as caught:
        run(lambda args: 0, "--help")
    out = capsys.readouterr().out
    assert caught.value.code == 0 and out.rstrip().endswith("tool act --jobs 2")
    assert {"--quiet", "--verbose", "--seed", "--jobs"} <= set(re.findall(r"--\w+", out))


def counting(args: argparse.Namespace) -> int:
    with progress(3, "counting") as bar:
        time.sleep(0.4)
        bar.update(2)
    return 0


def test_progress_shows_on_a_terminal_from_python_too_but_not_when_quiet(monkeypatch):
    terminal = io.StringIO()
    terminal.isatty = lambda: True
    monkeypatch.setattr(sys, "stderr", terminal)
    counting(argparse.Namespace())
    assert terminal.getvalue().count("counting:  67%") == 1
    run(counting, "--quiet")
    assert terminal.getvalue().count("counting:  67%") == 1
    run(counting)
    assert terminal.getvalue().count("counting:  67%") == 2
    monkeypatch.setattr(log, "level", logging.WARNING)  # as a script does that wants to see less
    counting(argparse.Namespace())
    assert terminal.getvalue().count("counting:  67%") == 2


def test_into_a_pipe_goes_no_bar_but_a_message_now_and_then_however_long_a_step_takes(monkeypatch):
    pipe = io.StringIO()
    monkeypatch.setattr(sys, "stderr", pipe)
    run(counting)
    assert pipe.getvalue() == ""
    monkeypatch.setattr("featurize.terminal._Lines.first", 0.02)
    counting(argparse.Namespace())  # of which nobody asked for messages
    assert pipe.getvalue() == ""
    run(counting)
    assert pipe.getvalue().splitlines()[0] == "counting: 0 of 3"


@pytest.mark.parametrize("package", ["featurize", "classify", "evaluate", "bottlehead"])
def test_every_command_tells_its_version(package):
    done = builders.run(package, "--version")
    assert (done.status, done.out) == (0, f"bottlehead {importlib.metadata.version('bottlehead')}\n")


def test_key_values():
    assert key_values(["C=10", "name=a=b", "empty="], "--set") == {"C": "10", "name": "a=b", "empty": ""}
    for wrong in ("C", "=3"):
        with pytest.raises(UsageError, match=f"--set {wrong} is not of the form NAME=VALUE"):
            key_values([wrong], "--set")
    with pytest.raises(UsageError, match="--set gives C twice"):
        key_values(["C=1", "C=2"], "--set")
