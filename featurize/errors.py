"""What can go wrong in a way that the user can correct.

Each error carries a message and a hint; the commands print them as one ``error:`` and one ``hint:`` line.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager

# A name and a password before the host of a URL, and the query of one: a web address may be signed by it.
LOGIN = re.compile(r"(?<=://)[^/\s'\"]*@")
QUERY = re.compile(r"(https?://[^\s'\"?]*)\?[^\s'\"]*", re.IGNORECASE)
SIGNED = re.compile(
    r"(\w://[^\s'\"?]*)\?[^\s'\"]*(?:X-Amz-|X-Goog-|Signature=|\bsig=|AccessKeyId=|token=)[^\s'\"]*",
    re.IGNORECASE,
)


def without_credentials(text: str) -> str:
    """`text`, its URLs without name and password, and web addresses without what follows a question mark.

    >>> without_credentials("https://me:secret@host/a.jpg?X-Amz-Signature=1 is no photo")
    'https://host/a.jpg is no photo'
    """
    if "://" not in text:
        return text
    return SIGNED.sub(r"\1", QUERY.sub(r"\1", LOGIN.sub("", text)))


def message_of(error: BaseException, longest: int = 200) -> str:
    """What an error of a library says, on one line, cut after `longest` characters.

    >>> message_of(ValueError("a graph\\n   of pages"), 12)
    'a graph of p'
    """
    return " ".join(str(error).split())[:longest]


class BottleheadError(ValueError):
    """An error that the user can correct.

    `message` says what happened and what was given, `hint` what is accepted and what to do next.
    """

    def __init__(self, message: str, hint: str = ""):
        super().__init__(without_credentials(message))
        self.hint = without_credentials(hint)

    def __reduce__(self):
        return type(self), (*self.args, self.hint)

    def __str__(self) -> str:
        return f"{self.args[0]} ({self.hint})" if self.hint else str(self.args[0])


class UsageError(BottleheadError):
    """A wrong argument: a spec, a parameter, a column that is not there."""


class SourceError(BottleheadError):
    """The photos cannot be found or listed: an empty folder, a manifest without the needed columns."""


class WeightsError(BottleheadError):
    """The numbers of a network are missing, or are another network's."""


class TableError(BottleheadError):
    """A table cannot be read, or does not fit what is asked of it."""


class StoreError(BottleheadError):
    """The store cannot be read or written."""


class ModelError(BottleheadError):
    """A model file is damaged, unsafe, or made for other features."""


def installing(extra: str, *options: str) -> str:
    """How an extra of ours is installed, as hints say it: of a checkout, because no index has this package.

    >>> installing("int8")
    "pip install '.[int8]' in the checkout"
    """
    return " ".join(["pip install", *options, f"'.[{extra}]' in the checkout"])


@contextmanager
def failing_of_others(what: str, hint: str, let_through: tuple[type[Exception], ...] = ()) -> Iterator[None]:
    """Whatever the code of other people raises, also SystemExit, becomes a UsageError that says `what` failed."""
    try:
        yield
    except (BottleheadError, MemoryError):
        raise
    except (Exception, SystemExit) as error:
        if isinstance(error, let_through):
            raise
        raise UsageError(f"{what}: {type(error).__name__}: {error}", hint) from error
