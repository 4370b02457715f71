"""``python -m classify`` is the command ``classify``."""

import sys

from classify.cli import main

if __name__ == "__main__":
    sys.exit(main())
