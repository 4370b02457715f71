"""The photos behind a table, as thumbnails that travel inside the page."""

import base64
import hashlib
import io
from pathlib import Path

from featurize.files import text_as_name
from featurize.table import FeatureTable

LONGER_SIDE_PX = 160
SMALL_PX = 80
JPEG_QUALITY = 80


class Photos:
    """Finds the photos of a table and makes thumbnails of them.

    Parameters
    ----------
    table : FeatureTable
        Its source says where the photos were; its ``sha256`` column, which bytes they had.
    images : path, optional
        The folder to look in instead.
    """

    def __init__(self, table: FeatureTable, images: str | Path | None = None):
        self.folder = Path(images) if images is not None else _folder_of(table.metadata.get("source"))
        self._sha256 = dict(zip(table.image, table.sha256, strict=True))
        self._made: dict[tuple[str, int], str | None] = {}

    def thumbnail(self, image: str, longer: int = LONGER_SIDE_PX) -> str | None:
        """A small JPEG of the photo, upright, as a ``data:`` address; None where there is none to show.

        `longer` is the length of its longer side in pixels.

        A file whose bytes are not those that were featurized is another photo, and is not shown; nor is what is
        no regular file, or too large.
        """
        key = (image, longer)
        if key not in self._made:  # the same photo stands in several sections
            self._made[key] = self._make(image, longer)
        return self._made[key]

    def _make(self, image: str, longer: int) -> str | None:
        from featurize.photos.decode import ImageRejected, read_image
        from featurize.photos.photo import Photo

        if self.folder is None:
            return None
        try:
            name, expected = text_as_name(image), self._sha256.get(image)
            place = self.folder / name
            if expected is not None and not place.is_file():
                # The photos of a separate test table bring the folder of their own source in their names.
                place = Path(name)
            data = read_image(str(place))
            if expected is not None and hashlib.sha256(data).hexdigest() != expected:
                return None
            rgb = Photo(data).rgb(longer=longer)
        except (OSError, ValueError, ImageRejected):
            return None
        return "data:image/jpeg;base64," + base64.b64encode(_small_jpeg(rgb, longer)).decode("ascii")


def _folder_of(source: dict | None) -> Path | None:
    """Where the names of the images begin: the folder, or the folder of the manifest."""
    if not source or not source.get("path"):
        return None
    path = Path(source["path"])
    return path.parent if source.get("kind") == "manifest" else path


def _small_jpeg(rgb, longer: int) -> bytes:
    from PIL import Image

    picture = Image.fromarray(rgb)
    picture.thumbnail((longer, longer), Image.Resampling.LANCZOS)
    stream = io.BytesIO()
    picture.save(stream, "JPEG", quality=JPEG_QUALITY, optimize=True)
    return stream.getvalue()
