"""The report for people: one self-contained HTML file, from a comparison, a test, or duplicates.

A report is a list of titled sections (`evaluate.report.sections`); each names the template that shows it.
To add a section: a builder there, and a template here.
"""

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from evaluate.comparison import Comparison
    from evaluate.curves import LearningCurve
    from evaluate.duplicates import Duplicates
    from evaluate.testing import TestResult

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
        A page that loads nothing from anywhere, runs no script, and escapes what it shows.
    """
    from evaluate.report.photos import Photos
    from evaluate.report.sections import page_of

    photos = Photos(result.table, images)
    return _templates().get_template("page.html").render(page=page_of(result, photos))


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


@cache
def _templates() -> Any:
    import jinja2

    from evaluate.text import percent

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["percent"] = percent
    return environment
