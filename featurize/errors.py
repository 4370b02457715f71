"""What can go wrong in a way that the user can correct.

BottleheadError (ValueError)
├── UsageError        a wrong argument: a spec, a parameter, a column that is not there
├── SourceError       the photos: an empty folder, a manifest without the needed columns
├── WeightsError      the network's numbers: a missing file, another network's file
├── TableError        a table that cannot be read, or does not fit what is asked of it
├── StoreError        the store cannot be written or read
└── ModelError        a model file that is damaged, unsafe, or made for other features

Each carries a message (what happened, what was given) and a hint (what is accepted, what to do next).
The commands print the two as one ``error:`` and one ``hint:`` line.
"""


class BottleheadError(ValueError):
    """An error that the user can correct.

    Parameters
    ----------
    message : str
        What happened, and what was given.
    hint : str
        What is accepted, and what to do next.
    """

    def __init__(self, message: str, hint: str = ""):
        super().__init__(message)
        self.hint = hint

    def __reduce__(self):
        return type(self), (*self.args, self.hint)

    def __str__(self) -> str:
        return f"{self.args[0]} ({self.hint})" if self.hint else str(self.args[0])


class UsageError(BottleheadError):
    """A wrong argument."""


class SourceError(BottleheadError):
    """The photos cannot be found or listed."""


class WeightsError(BottleheadError):
    """The numbers of a network are missing or are not what they should be."""


class TableError(BottleheadError):
    """A table cannot be read, or does not fit what is asked of it."""


class StoreError(BottleheadError):
    """The store cannot be read or written."""


class ModelError(BottleheadError):
    """A model file is damaged, unsafe, or made for other features."""
