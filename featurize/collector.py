"""Python's garbage collector, kept out of the way where it costs seconds and finds nothing."""

import atexit
import gc
from collections.abc import Iterator
from contextlib import contextmanager

_in_command = False


def begin_command() -> None:
    """This process runs a command and nothing else: what it imports stays, and its end needs no last collection.

    The last collection takes a second after TensorFlow. Without it, objects that refer to each other in a circle end
    without their ``__del__``; Python promises no more.
    """
    global _in_command
    if not _in_command:
        _in_command = True
        atexit.register(gc.freeze)


@contextmanager
def paused() -> Iterator[None]:
    """No collection while large libraries are imported, and in a command none that looks through them afterwards.

    An import makes hundreds of thousands of objects that stay, and the collector would look through them again and
    again: a tenth of the time that TensorFlow's import takes.
    """
    running = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if _in_command:
            gc.freeze()
        if running:
            gc.enable()
