"""Photos that are given as objects: encoded bytes, open files, Pillow images, RGB arrays."""

import io
import os
import threading
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import IO, Any, Protocol, TypeAlias, TypeGuard

import numpy as np
from PIL import Image, ImageChops, ImageOps

from featurize.errors import UsageError
from featurize.photos.decode import MAX_BYTES, NO_RANGE, ImageRejected, open_image
from featurize.photos.origin import OnDisk, Origin
from featurize.photos.photo import Photo

# One photo: a path, the bytes of an image file, a file opened for reading bytes, a Pillow image, an RGB array (uint8 of
# shape (height, width, 3)), or a row of a Hugging Face dataset, {"bytes": ..., "path": ...}.
PhotoLike: TypeAlias = (
    str
    | os.PathLike[Any]
    | bytes
    | bytearray
    | memoryview
    | IO[bytes]
    | Image.Image
    | np.ndarray
    | Mapping[str, Any]
)
Label: TypeAlias = str | int | None


class FrameLike(Protocol):
    """A DataFrame of pandas or polars."""

    @property
    def columns(self) -> Any:
        """The names of its columns."""

    def __getitem__(self, key: Any, /) -> Any:
        """One column."""


class DatasetLike(Protocol):
    """A Hugging Face dataset that is at hand, not streamed."""

    features: Any
    column_names: Any

    def with_format(self, *args: Any, **kwargs: Any) -> Any:
        """The same rows in another form."""


# Everything that photos are taken from.
PhotoSource: TypeAlias = (
    PhotoLike
    | Iterable[PhotoLike | tuple[PhotoLike, Label]]
    | FrameLike
    | DatasetLike
    | Mapping[str, DatasetLike]
)

ACCEPTED = (
    "a photo is a path, the bytes of an image file, a file opened with 'rb', a Pillow image, an RGB array "
    "(uint8 of shape (height, width, 3)), or a pair of one of these and its label"
)
WRONG_ARRAY = "give uint8 of shape (height, width, 3)"


def is_one_photo(given: object) -> bool:
    """Whether this is one photo, and not several.

    >>> is_one_photo("a.jpg"), is_one_photo(["a.jpg"]), is_one_photo(np.zeros((4, 5, 3), np.uint8))
    (True, False, True)
    """
    if isinstance(given, Mapping):
        return "bytes" in given
    if isinstance(given, np.ndarray):
        return given.dtype.kind in "biuf" and given.ndim < 4
    one = isinstance(given, str | os.PathLike | bytes | bytearray | memoryview | Image.Image)
    return one or hasattr(given, "read")


def is_path(given: object) -> TypeGuard[str | os.PathLike]:
    """Whether a photo is given by its path."""
    return isinstance(given, str | os.PathLike)


def origin_of(given: Any, where: str) -> Origin:
    """A photo that is given as an object, `where` being what errors call it; an open file is read here, to its end.

    UsageError for what is no photo, ImageRejected for pixels of another kind than RGB.
    """
    if isinstance(given, str | os.PathLike):
        return OnDisk(os.fsdecode(given))
    if isinstance(given, Image.Image):
        return PillowImage(where, given)
    if isinstance(given, bytes | bytearray | memoryview):
        return InMemory(where, bytes(given))
    if isinstance(given, Mapping) and "bytes" in given:
        if given["bytes"] is not None:
            return InMemory(where, bytes(given["bytes"]))
        if given.get("path"):
            return OnDisk(os.fsdecode(given["path"]))
        raise ImageRejected("there are no bytes and no path")
    if hasattr(given, "read"):
        return InMemory(where, _whole(given, where))
    if hasattr(given, "__array__") and not isinstance(given, np.generic):
        return InMemory(where, rgb_array(np.asarray(given)))
    raise UsageError(f"{where} is {_what(given)}", ACCEPTED)


def checked_origin(given: Any, where: str) -> Origin:
    """As `origin_of`; pixels of another kind than RGB are a UsageError too."""
    try:
        return origin_of(given, where)
    except ImageRejected as rejected:
        raise UsageError(f"{where}: {rejected}", ACCEPTED) from None


def photo_and_label(given: Any, where: str) -> tuple[Any, Any]:
    """The parts of a pair of a photo and its label; what is no pair has the label None.

    >>> photo_and_label(("a.jpg", "rose"), "photo 0"), photo_and_label("a.jpg", "photo 0")
    (('a.jpg', 'rose'), ('a.jpg', None))
    """
    if not isinstance(given, tuple):
        return given, None
    label = given[1] if len(given) == 2 else given
    if not (label is None or isinstance(label, str | int | np.integer)):
        raise UsageError(f"{where} is {_what(given)}", "give (photo, label), the label as text or an integer")
    return given


def rgb_array(array: np.ndarray) -> np.ndarray:
    """The array itself if it holds RGB pixels; ImageRejected, with how to convert it, if not.

    >>> try:
    ...     rgb_array(np.zeros((3, 40, 50), np.uint8))
    ... except ImageRejected as rejected:
    ...     print(str(rejected).partition("; ")[2])
    give uint8 of shape (height, width, 3): a = np.moveaxis(a, 0, -1)
    """
    shape, ndim = array.shape, array.ndim
    if array.dtype == np.uint8 and ndim == 3 and shape[2] == 3 and 0 not in shape:
        return array
    steps = []
    if ndim == 3 and 0 not in shape:
        if shape[0] in (1, 3, 4) and shape[2] not in (1, 3, 4):
            steps.append("a = np.moveaxis(a, 0, -1)")
            shape = (*shape[1:], shape[0])
        if shape[2] == 4:
            steps.append("a = a[..., :3], which drops the alpha of RGBA")
        elif shape[2] == 1:
            steps.append("a = np.repeat(a, 3, axis=2), which makes RGB of grey")
    elif ndim == 2 and 0 not in shape:
        steps.append("a = np.repeat(a[..., None], 3, axis=2), which makes RGB of grey")
    elif ndim == 4:
        steps.append("give a list of photos, list(a)")
    if array.dtype.kind == "f":
        steps.append("a = (255 * a).round().astype(np.uint8) if white is 1")
    elif array.dtype == np.uint16:
        steps.append("a = (a / 257).round().astype(np.uint8) if white is 65535")
    elif array.dtype == bool:
        steps.append("a = 255 * a.astype(np.uint8)")
    how = f": {', then '.join(steps)}" if steps else ""
    raise ImageRejected(f"an array of {array.dtype} with shape {array.shape}; {WRONG_ARRAY}{how}")


@dataclass(frozen=True, slots=True, eq=False)
class InMemory(Origin):
    """The bytes of an image file, or RGB pixels."""

    place: str
    content: bytes | np.ndarray

    def read(self) -> bytes | np.ndarray:
        if isinstance(self.content, bytes) and len(self.content) > MAX_BYTES:
            raise ImageRejected(f"{len(self.content):,} bytes; at most {MAX_BYTES:,} are read")
        return self.content


@dataclass(frozen=True, slots=True, eq=False)
class PillowImage(Origin):
    """A Pillow image, which is neither loaded, changed nor closed if it is as it was opened."""

    place: str
    image: Image.Image

    def read(self) -> bytes | np.ndarray:
        with _READING:
            data = _file_of(self.image)
            if data is not None:
                return data
            try:
                return _pixels(self.image)
            except (OSError, ValueError) as error:
                raise ImageRejected(f"a Pillow image that cannot be read: {error}") from error


# One image may be given twice, and be read in two threads at once.
_READING = threading.Lock()


def _file_of(image: Image.Image) -> bytes | None:
    """The file of an image that was opened and not loaded since; None where it was, or is of another page or size."""
    stream = getattr(image, "fp", None)
    loaded = vars(image).get("_im", vars(image).get("im")) is not None
    if stream is None or loaded or not hasattr(stream, "seek") or image.tell() != 0:
        return None
    place = stream.tell()
    try:
        stream.seek(0)
        data = stream.read(MAX_BYTES + 1)
    finally:
        stream.seek(place)
    if len(data) > MAX_BYTES:
        raise ImageRejected(f"more than {MAX_BYTES:,} bytes; at most that are read")
    try:
        with open_image(data) as fresh:
            return data if (fresh.size, fresh.mode) == (image.size, image.mode) else None
    except ImageRejected:
        return None  # of a format that is not read from files


def _pixels(image: Image.Image) -> np.ndarray:
    """Upright RGB, as a file of this image is read."""
    upright = ImageOps.exif_transpose(image)
    if upright.mode == "RGB" and not upright.info.get("icc_profile") and "transparency" not in upright.info:
        return np.asarray(upright)
    if upright.mode in ("I", "F"):
        raise ImageRejected(NO_RANGE)
    if upright.mode == "CMYK" and image.format in ("JPEG", "MPO") and "adobe" not in image.info:
        icc = upright.info.get("icc_profile")
        upright = ImageChops.invert(upright)
        upright.info |= {"icc_profile": icc} if icc else {}
    stream = io.BytesIO()
    profile: dict[str, Any] = {"icc_profile": upright.info.get("icc_profile")}
    if upright.mode == "CMYK":  # which PNG does not hold
        upright.save(stream, "TIFF", **profile)
    elif upright.mode.startswith("I;16"):
        Image.fromarray(np.asarray(upright).astype(np.uint16)).save(
            stream, "PNG", compress_level=0, **profile
        )
    else:
        if upright.mode not in ("1", "L", "LA", "P", "RGB", "RGBA"):
            has_alpha = upright.mode in ("La", "PA", "RGBa")
            upright = upright.convert("RGBA" if has_alpha else "RGB")
        upright.save(stream, "PNG", compress_level=0, **profile)
    return Photo(stream.getvalue()).rgb()


def _whole(stream: Any, where: str) -> bytes:
    """All bytes of an open file, which is left at the place where it was."""
    try:
        seekable = hasattr(stream, "seek") and (not hasattr(stream, "seekable") or stream.seekable())
        place = stream.tell() if seekable else 0
        if seekable:
            stream.seek(0)
        data = stream.read(MAX_BYTES + 1)
        if seekable:
            stream.seek(place)
    except (OSError, ValueError) as error:
        problem = f"{where} is an open file that cannot be read: {error}"
        raise UsageError(problem, "open it with 'rb', and close it after its photo was used") from error
    if not isinstance(data, bytes):
        raise UsageError(f"{where} is a file opened as text", "open it with 'rb'")
    return data


def _what(given: object) -> str:
    """What was given, in one line."""
    short = given is None or isinstance(given, bool | int | float)
    return repr(given) if short else f"of type {type(given).__name__}"


def several(photos: Any) -> Iterator[Any]:
    """The photos of what is one photo or several; UsageError for columns by name, whose names would be taken for paths.

    >>> list(several("a.jpg")), list(several(["a.jpg", "b.jpg"]))
    (['a.jpg'], ['a.jpg', 'b.jpg'])
    """
    if isinstance(photos, Mapping) and not is_one_photo(photos):
        hint = "give photos, a list of photos or of (photo, label), or a DataFrame with the columns image and label"
        raise UsageError(f"no photos can be taken from what is {_what(photos)}", f"{hint}; {ACCEPTED}")
    yield from [photos] if is_one_photo(photos) else photos
