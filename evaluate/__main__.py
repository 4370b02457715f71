"""``python -m evaluate``."""

from evaluate.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
