"""Ctrl-C while a head is fitted ends the fitting, whatever the classifier makes of it."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def interruptible() -> Iterator[None]:
    """Let Ctrl-C through where scikit-learn's MLPClassifier takes it for the end of its training."""
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message="Training interrupted by user")
        try:
            yield
        except UserWarning as warning:
            if "Training interrupted" in str(warning):
                raise KeyboardInterrupt from warning
            raise
