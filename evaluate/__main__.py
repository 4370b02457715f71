"""``python -m evaluate`` is the command ``evaluate``."""

import os
import sys

# Python puts the current folder first on its path. Photos may lie there, beside anybody's select.py.
try:
    if not sys.flags.safe_path and sys.path[0] == os.getcwd() != os.path.dirname(os.path.dirname(__file__)):
        del sys.path[0]
except OSError:  # the current folder is gone
    pass

from evaluate.cli import main

if __name__ == "__main__":
    sys.exit(main())
