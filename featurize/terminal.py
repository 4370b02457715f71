"""What is shown on a terminal: messages, text in columns, progress."""

import logging
import os
import sys
import threading
import time
import warnings
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from featurize.errors import without_credentials

log = logging.getLogger("bottlehead")


def _log_no_credentials(record: logging.LogRecord) -> bool:
    text = record.getMessage()
    if (clean := without_credentials(text)) != text:
        record.msg, record.args = clean, None
    return True


log.addFilter(_log_no_credentials)


def printable(text: str) -> str:
    """`text` on one line, unable to move the cursor: what is not printable becomes its escape.

    >>> printable("rot\\x1b[31m\\n")
    'rot\\\\x1b[31m\\\\n'
    """
    shown = (c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode() for c in text)
    return "".join(shown)


def columns_taken(text: str) -> int:
    """How wide a terminal shows `text`: a Chinese character takes two columns, a combining accent none.

    >>> columns_taken("雛菊"), columns_taken("Gänse")
    (4, 5)
    """
    from wcwidth import wcswidth

    width = wcswidth(text)
    return width if width >= 0 else len(text)  # a control character has no width


def padded(text: str, width: int) -> str:
    """`text` with blanks behind it, up to `width` columns.

    >>> padded("雛菊", 6) + "|"
    '雛菊  |'
    """
    return text + " " * (width - columns_taken(text))


def aligned(rows: Sequence[Sequence[str]], right: Collection[int] = ()) -> Iterator[str]:
    """The lines of a table; the columns numbered in `right` end at the same place, the others begin there.

    >>> list(aligned([("label", "photos"), ("雛菊", "12")], right=[1]))
    ['label  photos', '雛菊       12']
    """
    widths = [max(map(columns_taken, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        blanks = [" " * (width - columns_taken(cell)) for cell, width in zip(row, widths, strict=True)]
        cells = (blanks[i] + cell if i in right else cell + blanks[i] for i, cell in enumerate(row))
        yield "  ".join(cells).rstrip()


# Of the terminal, as a file descriptor: the last one, where what libraries write to stderr is held back.
terminal_descriptors = [2]


def say_at_once(text: str) -> None:
    """A line on stderr, past all buffers, as the handler of a signal may write it."""
    with suppress(OSError):
        terminal = terminal_descriptors[-1]
        before = "\n" if os.isatty(terminal) else ""  # behind the bar or ^C that stands there
        os.write(terminal, f"{before}{text}\n".encode())


@contextmanager
def messages_on_stderr(level: int) -> Iterator[None]:
    """Inside, messages of this level and above are lines on stderr."""
    handler = _Handler()
    level_before, propagate_before = log.level, log.propagate
    log.addHandler(handler)
    log.setLevel(level)
    log.propagate = False
    try:
        yield
    finally:
        # A caller of main() within Python keeps its own settings.
        log.removeHandler(handler)
        log.setLevel(level_before)
        log.propagate = propagate_before


class _Handler(logging.Handler):
    """Lines on stderr, above a progress bar where there is one."""

    def emit(self, record: logging.LogRecord) -> None:
        # Names of files and labels are in messages, and may hold anything.
        text = "\n".join(map(printable, record.getMessage().split("\n")))
        write = sys.modules["tqdm"].tqdm.write if "tqdm" in sys.modules else print
        write(f"warning: {text}" if record.levelno == logging.WARNING else text, file=sys.stderr)


def bars_are_drawn() -> bool:
    """Whether progress is a bar, in a notebook or on a terminal, and not lines in a pipe or a file."""
    # Others may import ipykernel; in a notebook IPython's shell has a kernel.
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython else None
    return getattr(shell, "kernel", None) is not None or sys.stderr.isatty()


def progress(total: int | None, description: str, unit: str = "image", n_before: int = 0):
    """A progress bar in a notebook and on a terminal; `n_before` are done already and do not count for the rate.

    A `total` that nobody knows is None: the bar counts. It appears when something takes longer than a moment. Into a
    pipe or a file no bar is written; where messages are shown, one comes after ten seconds and then twice a minute.
    """
    drawn = bars_are_drawn()
    # From Python bars come by default; where a level was set, it says whether anybody wants to see them.
    shown = log.isEnabledFor(logging.INFO) and log.hasHandlers()
    if total == 0 or not (shown or (drawn and log.level == logging.NOTSET)):
        return _NoBar()
    if not drawn:
        return _Lines(total, description, n_before)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a notebook without ipywidgets has bars of text
        from tqdm.auto import tqdm
    counts = {"total": total, "initial": n_before, "desc": description, "unit": f" {unit}s"}
    if hasattr(tqdm, "status_printer") and tqdm.__module__ == "tqdm.notebook":
        return tqdm(**counts, delay=0.3, leave=False)

    class Bar(tqdm):
        """`tqdm.write` clears and draws every bar, also one whose delay is not over, and leaves that one there."""

        def clear(self, *args: Any, **options: Any) -> None:
            if time.time() >= self.start_t + self.delay:
                super().clear(*args, **options)

        def display(self, *args: Any, **options: Any) -> None:
            if time.time() >= self.start_t + self.delay:
                super().display(*args, **options)

    return Bar(**counts, delay=0.3, file=sys.stderr, leave=False)


class _NoBar:
    """What `progress` gives where nobody would see a bar."""

    def __enter__(self) -> "_NoBar":
        return self

    def __exit__(self, *error: object) -> None:
        pass

    def update(self, n: int = 1) -> None:
        pass


class _Lines(_NoBar):
    """What `progress` gives where messages go to a file: lines in a rhythm of their own, however long a step takes."""

    first, every = 10.0, 30.0  # seconds

    def __init__(self, total: int | None, description: str, n_before: int) -> None:
        self._total, self._description, self._n_done = total, description, n_before
        self._ended = threading.Event()

    def __enter__(self) -> "_Lines":
        threading.Thread(target=self._say, name="progress", daemon=True).start()
        return self

    def __exit__(self, *error: object) -> None:
        self._ended.set()

    def update(self, n: int = 1) -> None:
        self._n_done += n

    def _say(self) -> None:
        pause = self.first
        while not self._ended.wait(pause):
            of_all = "" if self._total is None else f" of {self._total}"
            log.info("%s: %d%s", self._description, self._n_done, of_all)
            pause = self.every
