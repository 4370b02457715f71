"""What the benchmarks have in common: figures beside their targets, and times that alternate."""

import argparse
import json
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any


def parser(text: str | None) -> argparse.ArgumentParser:
    """One that knows ``--json`` and prints `text`, the docstring of a benchmark, as help."""
    made = argparse.ArgumentParser(description=text, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--json", metavar="FILE", help="write the figures there, beside their targets")
    return made


def figure(
    what: str, value: float, unit: str, *, at_most: float | None = None, at_least: float | None = None
) -> dict[str, Any]:
    """One row of a benchmark; ``met`` is None where nothing was aimed at."""
    target, met = None, None
    if at_most is not None:
        target, met = f"<= {at_most:g}", bool(value <= at_most)
    elif at_least is not None:
        target, met = f">= {at_least:g}", bool(value >= at_least)
    return {"what": what, "value": float(value), "unit": unit, "target": target, "met": met}


def report(name: str, rows: Sequence[Mapping[str, Any]], path: str | None) -> None:
    """Print the rows, and write them to `path` if there is one."""
    print(as_text(rows))
    if path:
        Path(path).write_text(
            json.dumps({"name": name, "rows": list(rows)}, indent=1, ensure_ascii=False) + "\n"
        )


def as_text(rows: Sequence[Mapping[str, Any]]) -> str:
    """A table: what, figure, target, met or missed."""
    lines = [
        (
            str(row["what"]),
            f"{shown(row['value'])} {row['unit']}".rstrip(),
            row["target"] or "",
            {True: "met", False: "MISSED", None: ""}[row["met"]],
        )
        for row in rows
    ]
    widths = [max((len(line[i]) for line in lines), default=0) for i in range(4)]
    return "\n".join(
        f"{what:{widths[0]}}  {value:>{widths[1]}}  {target:{widths[2]}}  {met}".rstrip()
        for what, value, target, met in lines
    )


def shown(value: float) -> str:
    """Three digits that count; whole numbers from 100 on.

    >>> shown(0.12345), shown(1234567.8), shown(2.0)
    ('0.123', '1,234,568', '2')
    """
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def alternating(sides: Mapping[str, Callable[[], Any]], repeats: int = 5) -> dict[str, list[float]]:
    """Wall-clock seconds of each side, one after the other in every round, after one round that is not counted.

    A side that returns a float has measured by itself.
    """
    found: dict[str, list[float]] = {name: [] for name in sides}
    for turn in range(repeats + 1):
        for name, side in sides.items():
            start = time.perf_counter()
            measured = side()
            if turn:
                seconds = measured if isinstance(measured, float) else time.perf_counter() - start
                found[name].append(seconds)
    return found


def ratio(above: Sequence[float], below: Sequence[float]) -> float:
    """The median over rounds, so that a machine that drifts slows both sides of each quotient."""
    return statistics.median(a / b for a, b in zip(above, below, strict=True))


def command_seconds(command: Sequence[str], **options: Any) -> tuple[float, float]:
    """Processor seconds, which other programs on the machine hardly change, and wall-clock seconds of a command."""
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True, **options)
    wall, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        sys.exit(f"{' '.join(command)} failed:\n{done.stderr}")
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, wall
