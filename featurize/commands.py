"""What every command shares: options, parsers, the standard streams, signals, and the exit status."""

import argparse
import errno
import logging
import os
import re
import shlex
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from difflib import get_close_matches
from typing import Any, NoReturn, TextIO

from featurize.errors import BottleheadError, UsageError, without_credentials
from featurize.terminal import messages_on_stderr, printable, say_at_once


class OptionsError(UsageError):
    """Options that do not go together, as the command line alone shows: status 2, as for one that argparse refuses."""


def common_options() -> argparse.ArgumentParser:
    """A parent parser with the options that mean the same everywhere."""
    parser = argparse.ArgumentParser(add_help=False)
    group = parser.add_argument_group("common options")
    group.add_argument("--quiet", "-q", action="store_true", help="errors only")
    text = "say more, such as how long each part took"
    group.add_argument("--verbose", "-v", action="store_true", help=text)
    text = "start of all randomness (default: 0)"
    group.add_argument("--seed", type=_seed, default=0, metavar="N", help=text)
    group.add_argument("--jobs", "-j", type=_jobs, metavar="N", help="processors to use (default: all)")
    return parser


def _seed(text: str) -> int:
    # numpy's generators, scikit-learn's and our own all take these.
    if not text.isdigit() or int(text) >= 1 << 32:
        raise argparse.ArgumentTypeError(f"{text!r} is no seed; give 0 to {(1 << 32) - 1}")
    return int(text)


def _jobs(text: str) -> int:
    value = int(text) if text.lstrip("-").isdigit() else 0
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of processors; give 1 or more")
    return value


def new_parser(prog: str, description: str, example: str) -> argparse.ArgumentParser:
    """A parser whose help ends with an example, and which tells the version."""
    parser = _Parser(prog=prog, **help_texts(description, example))
    parser.add_argument("--version", action=_Version, nargs=0, help="print the version and end")
    return parser


class _Version(argparse.Action):
    """Looks the version up when it is asked for: that takes longer than all the rest of a ``--help``."""

    def __call__(self, parser: argparse.ArgumentParser, *args: Any) -> NoReturn:
        from importlib.metadata import version

        print(f"bottlehead {version('bottlehead')}")
        parser.exit()


def help_texts(description: str, example: str) -> dict[str, Any]:
    """What every parser of ours is made with."""
    return {
        "description": description,
        "epilog": "example:\n  " + example.replace("\n", "\n  "),
        "formatter_class": argparse.RawDescriptionHelpFormatter,
        "allow_abbrev": False,
    }


# By the program that has them: who gives one to another program is told where it is.
COMMANDS = {
    "bottlehead": "fit retrain",
    "featurize": "extract scan store backbones download import-bottlenecks import-vectors adopt",
    "classify": "train predict neighbours serve show import-graph export labels suggest watch heads",
    "evaluate": "split compare curve test duplicates map",
}


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        lists = [one.option_strings[0] for one in self._actions if one.nargs == "+" and one.option_strings]
        if message.startswith("the following arguments are required") and lists:
            takers = " and ".join(lists)
            message += f" ({takers} take every word up to the next option: put what is required first)"
        if named := re.search("invalid choice: '([a-z-]+)'", message):
            homes = [f"{home} {named[1]}" for home, names in COMMANDS.items() if named[1] in names.split()]
            message += f"; perhaps {' or '.join(homes)} is meant" if homes else ""
        super().error(without_credentials(message))


def _refuse(parser: argparse.ArgumentParser, unknown: Sequence[str]) -> NoReturn:
    known = [name for action in parser._actions for name in action.option_strings]
    options = [word.partition("=")[0] for word in unknown if word.startswith("-")]
    close = [name for option in options for name in get_close_matches(option, known, n=1)]
    perhaps = "".join(f"; perhaps {name} is meant" for name in close)
    parser.error(f"unrecognized arguments: {' '.join(unknown)}{perhaps}")


def add_command(
    commands: Any, name: str, run: Callable[[argparse.Namespace], int], summary: str, example: str
) -> argparse.ArgumentParser:
    """One subcommand with the common options; `run` takes the parsed arguments and returns the exit status."""
    texts = help_texts(summary, example)
    parser = commands.add_parser(name, help=summary, parents=[common_options()], **texts)
    parser.set_defaults(run=run, parser=parser)
    return parser


def add_excel(parser: argparse.ArgumentParser) -> None:
    """The option ``--excel``, of every command that writes CSV; see `featurize.files.csv_writer`."""
    text = "write CSV for a spreadsheet: a byte-order mark, and a ' before text that begins with =, +, - or @"
    parser.add_argument("--excel", action="store_true", help=text)


def check_excel(args: argparse.Namespace, writes_csv: bool) -> None:
    """Refuse ``--excel`` where it would change nothing."""
    if getattr(args, "excel", False) and not writes_csv:
        raise OptionsError("--excel is for CSV, and none is written", "leave it out, or write CSV")


def key_values(pairs: Sequence[str], option: str) -> dict[str, str]:
    """``["C=10"]`` as ``{"C": "10"}``; OptionsError if a pair has no ``=``, or a name comes twice."""
    result = {}
    for pair in pairs:
        key, found, value = pair.partition("=")
        if not found or not key:
            problem = f"{option} {pair} is not of the form NAME=VALUE"
            raise OptionsError(problem, f"for example: {option} C=10")
        if key in result:
            raise OptionsError(f"{option} gives {key} twice", f"give one value of {key}")
        result[key] = value
    return result


def command_line(words: Sequence[str]) -> str:
    """The words of a command as this system's shell takes them.

    >>> command_line(["featurize", "scan", "my photos"])
    "featurize scan 'my photos'"
    """
    if os.name == "nt":
        from subprocess import list2cmdline

        return list2cmdline(words)
    return shlex.join(words)


def run_told_command(parser: argparse.ArgumentParser, argv: Sequence[str] | None) -> int:
    """As `run_command`; the arguments hold the whole ``command_line``, which a report tells."""
    given = list(sys.argv[1:] if argv is None else argv)
    parser.set_defaults(command_line=without_credentials(shlex.join([parser.prog, *given])))
    return run_command(parser, given)


def run_command(parser: argparse.ArgumentParser, argv: Sequence[str] | None) -> int:
    """Parse and run; a known error becomes one ``error:`` and one ``hint:`` line.

    The exit status: 0 done, 1 a known error, 2 an `OptionsError` or what argparse refuses, 129 the terminal was closed,
    130 interrupted, 143 terminated.
    """
    args, unknown = parser.parse_known_args(argv)
    if unknown:
        # By the command's own parser, whose usage shows what it does take.
        _refuse(getattr(args, "parser", parser), unknown)
    level = logging.ERROR if args.quiet else logging.DEBUG if args.verbose else logging.INFO
    with _safe_streams(), messages_on_stderr(level), _orderly_end(level) as received:
        try:
            status = args.run(args)
            sys.stdout.flush()
        except BottleheadError as error:
            return _fail(error.args[0], error.hint, status=2 if isinstance(error, OptionsError) else 1)
        except KeyboardInterrupt:
            received.append(signal.SIGINT)
        except _Unread:
            return 0
        except OSError as error:
            if error.errno == errno.ENOENT and error.filename is None:  # only getcwd() names no file
                return _fail(
                    "the current folder was removed", "change to one that is there, and run it again"
                )
            hint = getattr(error, "hint", "check the path, its permissions and the free space")
            return _fail(_in_words(error), hint)
        except MemoryError:
            return _fail("out of memory", "use fewer images at once, or a machine with more memory")
        except Exception as error:
            # Libraries read some variables when they are imported, and say only which value is wrong.
            for name, value in os.environ.items():
                if name.startswith(READ_BY_LIBRARIES) and repr(value) in str(error):
                    what = f"the environment variable {name} is {value!r}, which cannot be used"
                    return _fail(what, "give it another value, or unset it")
            raise
        if received:
            message = ENDED_BY.get(signal.Signals(received[0]).name, "interrupted")
            status = 128 + received[0]
            hint = "run the same command again: vectors that are in the store are not computed again"
            return _fail(message, hint, status)
        return status


ENDED_BY = {"SIGHUP": "the terminal was closed", "SIGTERM": "terminated"}
READ_BY_LIBRARIES = (
    "TQDM_",
    "LOKY_",
    "JOBLIB_",
    "SKLEARN_",
    "SCIPY_",
    "MPL",
    "MATPLOTLIB",
    "KERAS_",
    "TF_",
    "ARROW_",
)


def _in_words(error: OSError) -> str:
    """The path and what is wrong with it, without numbers and class names."""
    if error.strerror is None:
        return str(error)
    return error.strerror if error.filename is None else f"{os.fsdecode(error.filename)}: {error.strerror}"


def _fail(message: str, hint: str, status: int = 1) -> int:
    print("error: " + printable(" ".join(message.split())), file=sys.stderr)
    if hint:
        print("hint: " + printable(" ".join(hint.split())), file=sys.stderr)
    return status


@contextmanager
def _safe_streams() -> Iterator[None]:
    """The standard streams for one command: closed ones take no other file's place, and stderr never fails.

    What is written to a closed stdout is an error; what nobody can read on stderr is dropped.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            # The next file that is opened would get this number, and whatever writes there would write into it.
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)
    before = sys.stdout, sys.stderr
    for stream in before:
        if hasattr(stream, "reconfigure"):
            # A terminal or pipe that knows only ASCII gets escapes for the rest, never an exception.
            stream.reconfigure(errors="backslashreplace")
    sys.stdout, sys.stderr = ours = _Stdout(before[0]), _Stream(before[1])
    try:
        yield
    finally:
        sys.stdout, sys.stderr = before
        ours[0].close_own()  # stderr is still the logger's


class _Unread(Exception):
    """The reader of stdout (``head``, ``less``) has seen enough."""


class _Stream:
    """A standard stream, and what happens when it cannot be written to."""

    def __init__(self, stream: TextIO | None):
        self._stream = stream if stream is not None else open(os.devnull, "w", encoding="utf-8")
        self._closed = stream is None

    def write(self, text: str) -> int:
        with self._failing():
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        with self._failing():
            self._stream.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def close_own(self) -> None:
        """Close what stands for a closed stream: Python warns of what it finds open at the end."""
        if self._closed:
            self._stream.close()

    def _throw_away(self) -> None:
        """What waits in the buffer must go somewhere at the end of the process."""
        os.dup2(os.open(os.devnull, os.O_WRONLY), self._stream.fileno())

    @contextmanager
    def _failing(self) -> Iterator[None]:
        try:
            yield
        except OSError:  # its reader has gone (``2>&1 | head``), or the disk is full: messages are dropped
            self._throw_away()


class _Stdout(_Stream):
    def write(self, text: str) -> int:
        if self._closed:
            raise OSError(errno.EBADF, "stdout is closed, so what the command prints is lost")
        return super().write(text)

    @contextmanager
    def _failing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            self._throw_away()
            if isinstance(error, BrokenPipeError):
                raise _Unread from error
            raise


@contextmanager
def _orderly_end(level: int) -> Iterator[list[int]]:
    """SIGTERM and SIGHUP end a command as Ctrl-C does: what was computed is kept, half-written files are removed.

    Yields the signals that came, in order, also those that the work took for its end and went on from, as a training
    in steps does.
    """
    received: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield received  # only the main thread may set what a signal does
        return

    def end(number: int, frame: Any) -> NoReturn:
        if not received and level <= logging.INFO:
            say_at_once("stopping; vectors that were computed are kept")
        received.append(number)
        raise KeyboardInterrupt

    # A shell starts what runs in the background with SIGINT ignored, and nohup with SIGHUP; so they stay.
    known = (signal.SIGTERM, signal.SIGINT, *([signal.SIGHUP] if hasattr(signal, "SIGHUP") else []))
    numbers = [one for one in known if one == signal.SIGTERM or signal.getsignal(one) != signal.SIG_IGN]
    before = {number: signal.signal(number, end) for number in numbers}
    try:
        yield received
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
