"""A look at every file of a source before anything is computed: what will be used, what not, and why."""

import hashlib
import os
import stat
import unicodedata
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from featurize.ahead import work_ahead
from featurize.ids import merged_groups
from featurize.photos.decode import ImageRejected
from featurize.photos.fileindex import Content, read_image
from featurize.photos.photo import Photo
from featurize.photos.source import SourceImage, list_source
from featurize.terminal import progress

TEST_SHARE = 10  # fewer groups than this leave nothing for a test set of ten percent
FOLDS = 5

Usable = tuple[SourceImage, Content]


@dataclass
class Scan:
    """Every file of a source: used, rejected or ignored.

    Attributes
    ----------
    path, kind : str
        Where the source is; ``"folder"``, ``"manifest"`` or ``"files"``.
    usable : list of (SourceImage, Content)
        The photos that `featurize.extract` will turn into rows, in its order.
    rejects : list of (image, reason)
        What it will leave out, sorted.
    ignored : Counter
        Other files, counted by what they are.
    """

    path: str
    kind: str
    usable: list[Usable] = field(default_factory=list)
    rejects: list[tuple[str, str]] = field(default_factory=list)
    ignored: Counter[str] = field(default_factory=Counter)

    @cached_property
    def classes(self) -> dict[str | None, list[int]]:
        """For each label, None last, the positions of its photos in `usable`."""
        found: dict[str | None, list[int]] = {}
        for position, (image, _) in enumerate(self.usable):
            found.setdefault(image.label, []).append(position)
        return {label: found[label] for label in sorted(found, key=lambda text: (text is None, text or ""))}

    @cached_property
    def groups(self) -> np.ndarray:
        """One integer per usable photo; photos with equal integers stay on one side of every split."""

        def column(values: list[str | None]) -> np.ndarray:
            return np.array([*values, None], dtype=object)[:-1]

        return merged_groups(
            column([image.image for image, _ in self.usable]),
            column([content.sha256 for _, content in self.usable]),
            column([image.group for image, _ in self.usable]),
        )

    def n_groups(self, label: str | None) -> int:
        """How many groups the photos of a label fall into: what a split can tell apart."""
        return len(np.unique(self.groups[self.classes[label]]))

    @cached_property
    def identical(self) -> list[list[SourceImage]]:
        """Photos that are the same byte for byte, each list two or more."""
        same: dict[str, list[SourceImage]] = {}
        for image, content in self.usable:
            same.setdefault(content.sha256, []).append(image)
        return [images for images in same.values() if len(images) > 1]

    @property
    def conflicts(self) -> list[list[SourceImage]]:
        """Those of `identical` that stand in more than one class."""
        return [images for images in self.identical if len({image.label for image in images}) > 1]

    @property
    def small_classes(self) -> dict[str, int]:
        """Classes of fewer than `TEST_SHARE` groups, and how many groups they have."""
        sizes = {label: self.n_groups(label) for label in self.classes if label is not None}
        return {label: size for label, size in sizes.items() if size < TEST_SHARE}

    @property
    def colliding_labels(self) -> list[list[str]]:
        """Class names that differ in case or Unicode form only: one folder on Windows and macOS."""
        return _colliding(label for label in self.classes if label is not None)

    def to_json(self) -> dict[str, Any]:
        """Everything as plain JSON values, for programs."""
        return {
            "scan_version": 1,
            "source": {"path": os.fsencode(self.path).decode("utf-8", "backslashreplace"), "kind": self.kind},
            "counts": {
                "used": len(self.usable),
                "rejected": len(self.rejects),
                "ignored": self.ignored.total(),
            },
            "classes": [
                {"label": label, "images": len(rows), "groups": self.n_groups(label)}
                for label, rows in self.classes.items()
            ],
            "splits": dict(Counter(image.split for image, _ in self.usable if image.split)),
            "formats": dict(Counter(content.format for _, content in self.usable)),
            "ignored": dict(self.ignored),
            "rejects": [{"image": image, "reason": reason} for image, reason in self.rejects],
            "identical": [[image.image for image in images] for images in self.identical],
            "conflicts": [
                [{"image": image.image, "label": image.label} for image in images]
                for images in self.conflicts
            ],
            "small_classes": self.small_classes,
            "colliding_labels": self.colliding_labels,
            "images": [
                {
                    **{name: getattr(image, name) for name in ("image", "label", "group", "split")},
                    **{
                        name: getattr(content, name)
                        for name in ("sha256", "width", "height", "bytes", "format")
                    },
                }
                for image, content in self.usable
            ],
        }


def scan_source(
    source: str | os.PathLike | Iterable, *, group_by: str | None = None, jobs: int | None = None
) -> Scan:
    """Read and decode every photo of a source, and compute nothing.

    What it says is what `featurize.extract` does: the same images are used, and the same are rejected, for
    the same reasons.

    Parameters
    ----------
    source, group_by
        As in `featurize.extract`.
    jobs : int, optional
        Threads that read and decode; by default one per processor. Each holds one photo at a time.

    Raises
    ------
    SourceError
        If the source does not exist or holds no image at all.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> from PIL import Image
    >>> folder = pathlib.Path(tempfile.mkdtemp())
    >>> (folder / "blue").mkdir()
    >>> Image.new("RGB", (60, 40), "blue").save(folder / "blue" / "1.png")
    >>> _ = (folder / "blue" / "2.jpg").write_text("not a photo")
    >>> found = scan_source(folder)
    >>> len(found.usable), found.rejects
    (1, [('blue/2.jpg', 'text, not an image')])
    """
    listed = list_source(source, group_by=group_by)
    found = Scan(listed.path, listed.kind, rejects=list(listed.rejects), ignored=listed.ignored)
    jobs = jobs or os.cpu_count() or 1
    with ThreadPoolExecutor(jobs) as pool, progress(len(listed.images), "scanning") as bar:
        # Few ahead: a million photos in a queue take a gigabyte, and Ctrl-C waits for those that are begun.
        for image, content in work_ahead(pool, listed.images, _look, 4 * jobs):
            if isinstance(content, Content):
                found.usable.append((image, content))
            else:
                found.rejects.append((image.image, str(content)))
            bar.update(1)
    found.rejects.sort()
    return found


def _look(image: SourceImage) -> Content | ImageRejected:
    try:
        if not stat.S_ISREG(os.stat(image.path).st_mode):
            return ImageRejected("not a regular file")
        data = read_image(image.path)
        photo = Photo(data)
        # The smallest scale still reads the whole file, so that a truncated one shows, in a quarter of the time.
        photo.rgb(shorter=1)
    except ImageRejected as rejected:
        return rejected
    except OSError as error:
        return ImageRejected(f"cannot be read: {error.strerror or error}")
    return Content(hashlib.sha256(data).hexdigest(), photo.width, photo.height, len(data), photo.format)


def _colliding(names: Iterable[str]) -> list[list[str]]:
    same: dict[str, list[str]] = {}
    for name in names:
        same.setdefault(unicodedata.normalize("NFC", name).casefold(), []).append(name)
    return [sorted(group) for group in same.values() if len(group) > 1]
