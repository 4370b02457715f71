"""Models that leave: written for other programs, run once, and compared."""
