"""Does an exported file say what its model says: on the same pixels, and on photos as other programs read them?"""

import io
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from PIL import Image, ImageOps

from classify.model.model import Model
from featurize.errors import SourceError
from featurize.extractors.base import golden_image
from featurize.photos.decode import ImageRejected
from featurize.photos.photo import Photo
from featurize.photos.source import list_source
from featurize.terminal import log, progress

Named = tuple[
    str, Callable[[], Any]
]  # a photo: its name, and what reads its bytes, or the pixels that it was given as
AT_ONCE = 32
JUDGED_FROM = 50  # photos; of fewer, a label that differs may be chance
ROUNDED = 5e-5  # of each number of a vector: some times what the vectors of two engines differ by
TIMED = 20  # runs, of which the middle one counts


@dataclass
class Agreement:
    """How many of some photos get the label of the model, and how far a probability is off at most."""

    photos: int = 0
    labels: int = 0
    difference: float = 0.0

    def add(self, model: Model, found: np.ndarray, expected: np.ndarray) -> None:
        self.photos += len(found)
        self.labels += int((model.decide(found) == model.decide(expected)).sum())
        self.difference = max(self.difference, float(np.abs(found - expected).max(initial=0)))

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    def __str__(self) -> str:
        counted = f"{self.labels} of {self.photos} label{'s' * (self.photos != 1)} agree"
        return f"{counted}; largest difference of a probability {self.difference:.2g}"


@dataclass(frozen=True)
class Limits:
    """How far off probabilities may be on equal pixels and on whole photos, and the share of labels that must agree."""

    pixels: float
    photos: float
    labels: float = 0.0

    def broken_by(self, found: Mapping[str, Agreement], rounding: float = 0.0) -> str | None:
        """What `compare` found beyond these, in words; None if nothing is.

        `rounding` is what a change of the vectors by `ROUNDED` does: of a steep head, as retrain.py trained them, more
        than is allowed otherwise.
        """
        pixels, photos = found["pixels"], found["photos"]
        limits = (pixels, max(self.pixels, rounding), "equal pixels"), (photos, self.photos, "whole photos")
        for agreement, limit, what in limits:
            if not agreement.difference <= limit:
                off = f"probabilities differ from the model's by up to {agreement.difference:.2g}"
                return f"on {what} its {off}, and {limit:g} is allowed"
        if pixels.photos >= JUDGED_FROM and pixels.labels < self.labels * pixels.photos:
            return f"on equal pixels {pixels}, and {100 * self.labels:.0f} % of the labels must"
        return None


LIMITS = {
    "float32": Limits(1e-5, 0.02, 1.0),
    "float16": Limits(0.04, 0.04),
    "int8": Limits(1.0, 1.0, 0.97),
}


def check_photos(check: Any) -> list[Named]:
    """Names of photos, and what reads the bytes of each; of None, the golden image."""
    if check is None:
        stream = io.BytesIO()
        Image.fromarray(golden_image()).save(stream, "JPEG", quality=95)
        return [("the golden image", stream.getvalue)]
    source = list_source(check)
    for image, reason in source.rejects:
        log.warning("left out %s: %s", image, reason)
    return [(one.image, one.origin.read) for one in source.images]


def read_photos(photos: Sequence[Named]) -> Iterator[tuple[Any, Photo]]:
    """The bytes of each, and what can be made of them; a SourceError where nothing can be read."""
    rejects = []
    with progress(len(photos), "comparing", unit="photo") as bar:
        for name, read in photos:
            try:
                data = read()
                yield data, Photo.of(data)
            except ImageRejected as rejected:
                rejects.append((name, str(rejected)))
                log.warning("left out %s: %s", name, rejected)
            bar.update()
    if len(rejects) == len(photos):
        name, reason = rejects[0] if rejects else ("none", "there are none")
        what = f"no photo to check with can be read; the first is {name}: {reason}"
        raise SourceError(what, "give others with --check")


def plain_pixels(data: bytes, side: int) -> np.ndarray:
    """A photo as label_image.py in examples/ reads it: the way of most programs."""
    with Image.open(io.BytesIO(data)) as image:
        upright = ImageOps.exif_transpose(image).convert("RGB")
    return np.asarray(upright.resize((side, side), Image.Resampling.BILINEAR), dtype=np.float32)


def compare(
    model: Model,
    extractor: Any,
    run: Callable[[np.ndarray], np.ndarray],
    run_jpeg: Callable[[bytes], np.ndarray] | None,
    photos: Sequence[Named],
) -> tuple[dict[str, Agreement], float]:
    """A written file against its model: on equal "pixels", and on whole "photos"; and the rounding of `broken_by`.

    Photos of which this package says how it read them (a colour profile, a DICOM window) are "converted": other
    programs read them otherwise.
    """
    found = {name: Agreement() for name in ("pixels", "photos", "converted")}
    pending: list[tuple[Any, np.ndarray, str]] = []
    rounding, draws = [0.0], np.random.default_rng(0)

    def finish() -> None:
        prepared = [pixels for _, pixels, _ in pending]
        vectors = extractor.vectors(prepared)
        expected = model.predict_proba(vectors)
        moved = vectors * (1 + ROUNDED * draws.standard_normal(vectors.shape, np.float32))
        rounding.append(float(np.abs(model.predict_proba(moved) - expected).max()))
        rows = run(np.stack(prepared).astype(np.float32))
        found["pixels"].add(model, rows, expected)
        for (data, pixels, name), row, right in zip(pending, rows, expected, strict=True):
            whole = of_whole(data, pixels, row)
            if whole is not None:
                found[name].add(model, whole[None].astype(np.float64), right[None])
        pending.clear()

    def of_whole(data: Any, pixels: np.ndarray, row: np.ndarray) -> np.ndarray | None:
        if isinstance(data, np.ndarray):
            return None
        if run_jpeg is not None and data.startswith(b"\xff\xd8"):
            return run_jpeg(data)
        if extractor.parity:
            return row
        try:
            plain = plain_pixels(data, extractor.side)
            return row if np.array_equal(plain, pixels) else run(plain[None])[0]
        except (OSError, ValueError, SyntaxError):  # a format that Pillow alone does not read
            return None

    for data, photo in read_photos(photos):
        pixels = extractor.prepare(photo)  # which reads it, and makes the remarks
        pending.append((data, pixels, "converted" if photo.remarks else "photos"))
        if len(pending) == AT_ONCE:
            finish()
    if pending:
        finish()
    return found, max(rounding)


def milliseconds(run: Callable[[np.ndarray], np.ndarray], one: np.ndarray) -> float:
    """How long one photo takes, alone: the median of some runs after the first."""
    run(one)
    seconds: list[float] = []
    while len(seconds) < TIMED and sum(seconds) < 1:
        start = time.perf_counter()
        run(one)
        seconds.append(time.perf_counter() - start)
    return 1000 * float(np.median(seconds))
