"""The report for people: one self-contained HTML file, from a comparison, a test, or duplicates.

A report is a list of titled sections (`evaluate.report.sections`); each names the template that shows it.
To add a section: a builder there, and a template here.
"""

import base64
import hashlib
import re
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evaluate.report.photos import Photos
from evaluate.report.sections import page_of
from evaluate.report.text import percent

if TYPE_CHECKING:
    from evaluate.checks.duplicates import Duplicates
    from evaluate.studies.compare import Comparison
    from evaluate.studies.curve import LearningCurve
    from evaluate.studies.testing import TestResult

__all__ = ["render", "write_report"]


def render(
    result: "Comparison | TestResult | Duplicates | LearningCurve", images: str | Path | None = None
) -> str:
    """The report as HTML text.

    Parameters
    ----------
    result : Comparison, TestResult, Duplicates or LearningCurve
    images : path, optional
        The folder that holds the photos, when they are not where the table says. A photo that is not found
        costs its thumbnail, never the report.

    Returns
    -------
    str
        A page that loads nothing from anywhere, runs no script but its own, and escapes what it shows.
    """
    photos = Photos(result.table, images)
    script = (Path(__file__).parent / "templates" / "report.js").read_text(encoding="utf-8")
    return (
        _templates()
        .get_template("page.html")
        .render(page=page_of(result, photos), script=_trusted(script), script_digest=_digest(script))
    )


def write_report(
    result: "Comparison | TestResult | Duplicates | LearningCurve",
    path: str | Path,
    images: str | Path | None = None,
) -> None:
    """Write `render`'s page to `path`, whole or not at all."""
    from featurize.files import whole_file

    page = render(result, images)
    with whole_file(path) as partial:
        partial.write_text(page, encoding="utf-8", errors="replace")


def _trusted(script: str) -> Any:
    from markupsafe import Markup

    return Markup(script)


def _breakable(name: str) -> Any:
    """A features or head spec that a narrow column breaks where its parts end, not anywhere."""
    from markupsafe import Markup, escape

    return Markup("").join(
        part if place % 2 == 0 else part + Markup("<wbr>")
        for place, part in enumerate(map(escape, re.split(r"([+:,/.])", name)))
    )


def _digest(script: str) -> str:
    """How a Content-Security-Policy names the only script that may run."""
    return "sha256-" + base64.b64encode(hashlib.sha256(script.encode("utf-8")).digest()).decode("ascii")


@cache
def _templates() -> Any:
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["percent"] = percent
    environment.filters["breakable"] = _breakable
    return environment
