"""How much memory this machine has, for decisions that cost time where it is short."""

import os
from collections.abc import Iterable
from pathlib import Path

ASSUMED = 8 << 30  # bytes, where the system does not say
LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")


def total_memory(limits: Iterable[str | os.PathLike] = LIMITS) -> int:
    """Bytes of memory, or fewer where a container may not use all of them: a file of `limits` says how many.

    >>> total_memory() > 1 << 20
    True
    """
    try:
        total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):  # such as Windows
        total = ASSUMED
    for path in limits:
        try:
            total = min(total, int(Path(path).read_text()))
        except (OSError, ValueError):  # no such file, or "max"
            continue
    return total
