"""``python -m featurize`` is the command ``featurize``."""

import sys

from featurize.cli import main

sys.exit(main())
