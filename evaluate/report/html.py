"""The report for people: one self-contained HTML file, from a comparison, a test, a learning curve, or duplicates.

To add a section: a builder in `evaluate.report.sections`, and a template in ``templates``.
"""

import re
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from evaluate.report import difference_sentences, score_sentences, words
from evaluate.report.frames import as_html, frame_of, in_one_line
from evaluate.report.map import THUMBNAIL_BYTES, MapRecord, content_of
from evaluate.report.methods import as_json
from evaluate.report.plots import Plots
from evaluate.report.sections import page_of
from evaluate.report.text import as_text
from evaluate.results import Result
from featurize.pages import Thumbnails, page_templates, render_page

if TYPE_CHECKING:
    import pandas as pd

TEMPLATES = Path(__file__).parent / "templates"


class Reported:
    """What the public results can do: each is a record of `evaluate.results`, and this."""

    def __str__(self) -> str:
        """What the command prints."""
        return as_text(cast(Result, self))

    def __repr__(self) -> str:
        return in_one_line(cast(Result, self))

    def _repr_html_(self) -> str:
        return as_html(cast(Result, self))

    def to_frame(self) -> "pd.DataFrame":
        """Its table as a pandas DataFrame; shares are from 0 to 1.

        Of a comparison a row per pair of features and head, of a test per label, of a learning curve per size, of
        duplicates per pair of photos.
        """
        return frame_of(cast(Result, self))

    def to_dict(self) -> dict[str, Any]:
        """Everything but tables and predictions, ready for JSON; date, command and seconds under ``run``."""
        return as_json(cast(Result, self))

    @property
    def plot(self) -> Plots:
        """The drawings: ``.plot.accuracy(ax=None)`` and the like draw on axes, and return them."""
        return Plots(cast(Result, self))

    def to_html(self, images: str | Path | None = None) -> str:
        """The report, one self-contained page; `images` is the folder of the photos, when they have moved."""
        return render(cast(Result, self), images)


def render(result: Result, images: str | Path | None = None) -> str:
    """The report as HTML text: a page that loads nothing, runs no script but its own, and escapes what it shows.

    A photo that is not found, at its place in the table or below `images`, costs its thumbnail, never the report.
    """
    page = page_of(result, Thumbnails(result.table, images))
    with_scripts = [one.key for one in page.sections if one.key in ("gallery", "map")]
    script = _script("save.js", "report.js", *(f"{name}.js" for name in with_scripts))
    byline = [page.title] * bool(result.title) + [result.author] * bool(result.author) + [result.date[:10]]
    content = {"figures": page.figures, "sections": page.sections, "look": page.look, "byline": byline}
    title = result.title or page.title
    return render_page(_templates(), "report.html", title, page.subtitle, script, **content)


def render_map(found: MapRecord, images: str | Path | None = None) -> str:
    """A map of photos as a page of its own, which loads nothing."""
    content = content_of(found, Thumbnails(found.table, images), THUMBNAIL_BYTES)
    labels = list(found.labels)
    named = ", ".join(labels[:8]) + (f" and {len(labels) - 8} more" if len(labels) > 8 else "")
    subtitle = f"{words.count(found.total, 'photo')} by {found.features}: {named}"
    kind = "Map of the photos"
    byline = [kind] * bool(found.title) + [found.author] * bool(found.author)
    shown = {"content": content, "command": found.command, "byline": byline}
    script = _script("save.js", "map.js")
    return render_page(_templates(), "map_page.html", found.title or kind, subtitle, script, **shown)


def _script(*names: str) -> str:
    return "\n".join((TEMPLATES / name).read_text(encoding="utf-8") for name in names)


def write_report(result: Result, path: str | Path, images: str | Path | None = None) -> None:
    """Write the report of a result to `path`, whole or not at all.

    Parameters
    ----------
    result : Comparison, TestResult, LearningCurve or Duplicates
    path : path
    images : path, optional
        The folder that holds the photos, when they are not where the table says.
    """
    from featurize.outputs import PAGE, whole_file

    page = render(result, images)
    with whole_file(path, PAGE) as partial:
        partial.write_text(page, encoding="utf-8", errors="replace")


def _breakable(name: str) -> Any:
    """A features or head spec that a narrow column breaks where its parts end, not anywhere."""
    from markupsafe import Markup, escape

    return Markup("").join(
        part if place % 2 == 0 else part + Markup("<wbr>")
        for place, part in enumerate(map(escape, re.split(r"([+:,/.])", name)))
    )


@cache
def _templates() -> Any:
    environment = page_templates(TEMPLATES)
    environment.filters |= {"breakable": _breakable, "interval": words.interval_in_words}
    environment.filters |= {"number": words.number, "percent": words.percent, "photos": words.n_photos}
    environment.globals |= {"words": words, "score_sentences": score_sentences}
    environment.globals |= {"difference_sentences": difference_sentences}
    return environment
