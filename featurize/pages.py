"""What every HTML page of ours shares: shell, style, Content-Security-Policy, and thumbnails that travel inside it."""

import base64
import hashlib
import io
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from featurize.files import text_as_name
from featurize.photos.decode import ImageRejected
from featurize.photos.origin import MANIFESTS, Origin
from featurize.photos.photo import Photo, content_digest
from featurize.photos.rows import photo_finder
from featurize.photos.source import origin_at
from featurize.remote import AnyPath, path_at
from featurize.table import FeatureTable

TEMPLATES = Path(__file__).parent / "templates"
LONGER_SIDE_PX = 160
SMALL_PX = 80
JPEG_QUALITY = 80


def page_templates(*folders: Path) -> Any:
    """A jinja2 environment of templates that may extend ``page.html`` and include ``style.css``.

    Everything that a template shows is escaped, control characters too; a name that it lacks is an error.
    """
    import jinja2

    return jinja2.Environment(
        loader=jinja2.FileSystemLoader([*folders, TEMPLATES]),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        finalize=_shown,
        trim_blocks=True,
        lstrip_blocks=True,
    )


# Characters that steer a terminal, in names that anybody may have given.
STEERING = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def _shown(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    return type(value)(STEERING.sub(lambda match: ascii(match[0])[1:-1], value))


def render_page(
    templates: Any, name: str, title: str, subtitle: str, script: str = "", **content: Any
) -> str:
    """The page of a template that extends ``page.html``.

    It loads nothing from anywhere, and runs no script but `script`, which its Content-Security-Policy names by digest.
    """
    from markupsafe import Markup

    digest = base64.b64encode(hashlib.sha256(script.encode("utf-8")).digest()).decode("ascii")
    allowed = f"'sha256-{digest}'" if script else "'none'"
    sources = f"default-src 'none'; style-src 'unsafe-inline'; img-src data:; script-src {allowed}"
    policy = f"{sources}; base-uri 'none'; form-action 'none'"
    shared = {"title": title, "subtitle": subtitle, "policy": Markup(policy), "script": Markup(script)}
    return templates.get_template(name).render(**shared, **content)


class Thumbnails:
    """Finds the photos of a table and makes thumbnails of them.

    Its source says where the photos were, unless `images` names a folder; its ``sha256`` column, which bytes they had.
    """

    def __init__(self, table: FeatureTable, images: str | Path | None = None):
        self.folder = path_at(images) if images is not None else _folder_of(table.metadata.get("source"))
        self._in_rows: Callable[[str], Origin | None] | None = None
        self._files = _parquet_files_of(table.metadata.get("source"))
        self._sha256 = dict(zip(table.image, table.sha256, strict=True))
        self._made: dict[tuple[str, int], str | None] = {}

    def thumbnail(self, image: str, longer: int = LONGER_SIDE_PX) -> str | None:
        """A small JPEG of the photo, upright, as a ``data:`` address; None where there is none to show.

        `longer` is the length of its longer side in pixels. Only bytes with the digest of the table's row are shown: a
        table from a stranger may name any file of this machine. Nor is what is no regular file, or too large.
        """
        key = (image, longer)
        if key not in self._made:  # the same photo stands in several sections
            jpeg = self.jpeg(image, longer)
            text = None if jpeg is None else base64.b64encode(jpeg).decode("ascii")
            self._made[key] = None if text is None else f"data:image/jpeg;base64,{text}"
        return self._made[key]

    def jpeg(self, image: str, longer: int = LONGER_SIDE_PX) -> bytes | None:
        """What `thumbnail` shows, as a file that is not kept for the next time."""
        expected = self._sha256.get(image)
        if self.folder is None or expected is None:
            return None
        try:
            name = text_as_name(image)
            # The photos of a separate test table bring the folder of their own source in their names.
            origin = origin_at(self.folder / name) or origin_at(name)
            if origin is None and self._files:
                self._in_rows = self._in_rows or photo_finder(self._files)
                origin = self._in_rows(image)
            data = None if origin is None else origin.read()
            if data is None or content_digest(data) != expected:
                return None
            rgb = Photo.of(data).rgb(longer=longer)
        except (OSError, ValueError, ImageRejected):
            return None
        return _small_jpeg(rgb, longer)


def _folder_of(source: dict[str, Any] | None) -> AnyPath | None:
    """Where the names of the images begin: the folder, or the folder of the manifest."""
    if not source or not source.get("path"):
        return None
    if source.get("kind") in MANIFESTS and isinstance(source.get("folder"), str):
        return path_at(source["folder"])
    path = path_at(source["path"])
    is_file = source.get("kind") == "manifest" or _parquet_files_of(source) == [source["path"]]
    return path.parent if is_file else path


def _parquet_files_of(source: dict[str, Any] | None) -> list[str]:
    """The Parquet files that hold the photos of a table."""
    files = (source or {}).get("files")
    return [file for file in files if isinstance(file, str)] if isinstance(files, list) else []


def _small_jpeg(rgb: np.ndarray, longer: int) -> bytes:
    picture = Image.fromarray(rgb)
    picture.thumbnail((longer, longer), Image.Resampling.LANCZOS)
    stream = io.BytesIO()
    picture.save(stream, "JPEG", quality=JPEG_QUALITY, optimize=True)
    return stream.getvalue()
