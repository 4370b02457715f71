"""Images of more than 8 bits per value, in full: which value is black and which is white, and 8 bits of them."""

import io
import struct
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from PIL import Image, TiffImagePlugin
from PIL.ImageFile import ImageFile

from featurize.photos.containers import png_chunk

FULL = 65535
BITS_PER_SAMPLE, PHOTOMETRIC, SAMPLES, MAX_SAMPLE, PLANAR = 258, 262, 277, 281, 284  # TIFF tags
STRIPS, TILES, WHITE_IS_ZERO = (273, 279), (324, 325), 0
# What a plane of a TIFF shares with its file: size, compression, order of bits, orientation, rows of a strip,
# predictor, size of a tile. BITS_PER_SAMPLE, PHOTOMETRIC and SAMPLES become those of a grey image.
SHARED = (256, 257, 259, 266, 274, 278, 317, 322, 323)
ROWS_AT_ONCE = 256  # value × 255 needs 32 bits, which would quadruple a large photo
# The other order of the two bytes of a value: what it unpacks for the high byte is the low one.
OTHER_BYTE = {"B": "L", "L": "B", "N": "B" if sys.byteorder == "little" else "L"}


@dataclass(frozen=True)
class Samples:
    """The values of an image, uint16: `rows` gives some of (height, width) or (height, width, channels).

    `alpha`: the last channel says how opaque a pixel is. `top` is the largest value that can be; `bits` how many bits
    the file says that its values have, and `bits_on_top` that these are the higher ones. `white_is_zero`: the largest
    value is black. `transparent`: a value of grey, or three of RGB, that stand for no pixel.
    """

    height: int
    rows: Callable[[slice], np.ndarray]
    alpha: bool = False
    top: int = FULL
    bits: int | None = None
    bits_on_top: bool = False
    white_is_zero: bool = False
    transparent: Any = None

    def parts(self) -> Iterator[tuple[slice, np.ndarray]]:
        """All rows, some at a time: their places and values."""
        for start in range(0, self.height, ROWS_AT_ONCE):
            part = slice(start, min(start + ROWS_AT_ONCE, self.height))
            yield part, self.rows(part)

    def colours(self, values: np.ndarray) -> np.ndarray:
        """Without alpha; grey has two dimensions."""
        if not self.alpha:
            return values
        return values[..., 0] if values.shape[-1] == 2 else values[..., :-1]


def read_samples(image: ImageFile, again: Callable[[], ImageFile], data: bytes) -> Samples | None:
    """The values of an opened image, not yet loaded, whose file is `data`; None if they have 8 bits.

    `again` opens it a second time: of colours of 16 bits, Pillow unpacks one byte at a time.
    """
    tags = getattr(image, "tag_v2", {})
    transparent = image.info.get("transparency")
    if image.mode.startswith("I;16") or (image.mode == "I" and image.format in ("PNG", "PPM")):
        load(image)
        grey = np.asarray(image)
        bits = int(tags.get(BITS_PER_SAMPLE, (16,))[0])
        found = Samples(image.height, lambda part: grey[part].astype(np.uint16), top=(1 << bits) - 1)
        found = replace(found, white_is_zero=tags.get(PHOTOMETRIC) == WHITE_IS_ZERO, transparent=transparent)
    elif image.format == "PNG" and data[24] == 16 and image.mode in ("RGB", "RGBA") and image.tile:
        found = replace(_png(image, again), transparent=transparent)
    elif (
        image.format == "TIFF"
        and set(tags.get(BITS_PER_SAMPLE, ())) == {16}
        and image.mode in ("RGB", "RGBA")
    ):
        if tags.get(PLANAR) == 2:
            planes = [np.asarray(plane) for plane in _planes(tags, data)][: len(image.mode)]
            found = Samples(
                len(planes[0]), lambda part: np.stack([one[part] for one in planes], -1).astype(np.uint16)
            )
        elif "RGBa" in str(image.tile[0].args):
            return None  # colours are multiplied by alpha, and Pillow divides what it unpacks
        else:
            found = _both_bytes(image, again)
        found = replace(found, alpha=image.mode == "RGBA")
    else:
        return None
    return replace(found, bits=_stated_bits(image, tags, data), bits_on_top=image.format == "PNG")


PILLOWS_LIMIT = 178_956_970  # pixels


def load(image: Image.Image) -> None:
    """Decode an opened image, however large it is: of a TIFF, Pillow asks its own limit once more."""
    if image.format == "TIFF" and image.width * image.height > PILLOWS_LIMIT:
        image.im = Image.core.new(image.mode, image._tile_size)  # type: ignore[attr-defined]
    image.load()


def is_planar(image: Image.Image) -> bool:
    """Whether this is a TIFF of 16 bits whose planes lie apart, uncompressed, which Pillow reads as noise."""
    tags = getattr(image, "tag_v2", {})
    apart = tags.get(PLANAR) == 2 and not getattr(image, "use_load_libtiff", True)
    return apart and len(image.getbands()) > 1 and max(tags.get(BITS_PER_SAMPLE, (8,))) > 8


def _png(image: ImageFile, again: Callable[[], ImageFile]) -> Samples:
    (tile,) = image.tile
    if tile.args == "LA;16B":  # as four bytes, which are those of grey and alpha
        image.tile = [tile._replace(args="RGBA")]
        image.load()
        raw = np.asarray(image)
        return Samples(
            len(raw), lambda part: (raw[part, :, ::2].astype(np.uint16) << 8) | raw[part, :, 1::2], alpha=True
        )
    return replace(_both_bytes(image, again), alpha=image.mode == "RGBA")


def _both_bytes(image: ImageFile, again: Callable[[], ImageFile]) -> Samples:
    low = again()
    low.tile = [tile._replace(args=_other_byte(tile.args)) for tile in low.tile]
    load(image)
    load(low)
    high_bytes, low_bytes = np.asarray(image), np.asarray(low)
    return Samples(len(high_bytes), lambda part: (high_bytes[part].astype(np.uint16) << 8) | low_bytes[part])


def _other_byte(args: Any) -> Any:
    if isinstance(args, str):
        return args[:-1] + OTHER_BYTE[args[-1]]
    return (_other_byte(args[0]), *args[1:])


def _planes(tags: Any, data: bytes) -> Iterator[Image.Image]:
    """Each plane of a TIFF, as the image of a file of its own: the same bytes with another directory."""
    order = "<" if tags.prefix == b"II" else ">"
    where = STRIPS if STRIPS[0] in tags else TILES
    shared: dict[int, tuple[int, ...]] = {tag: (int(tags[tag]),) for tag in SHARED if tag in tags}
    shared |= {BITS_PER_SAMPLE: (16,), PHOTOMETRIC: (1,), SAMPLES: (1,)}
    n_planes = int(tags[SAMPLES])
    for number in range(n_planes):
        own = {tag: tuple(tags[tag]) for tag in where}
        own = {
            tag: v[len(v) * number // n_planes : len(v) * (number + 1) // n_planes] for tag, v in own.items()
        }
        directory, longer, start = b"", b"", len(data) + len(data) % 2
        entries = sorted((shared | own).items())
        for tag, values in entries:
            packed = struct.pack(f"{order}{len(values)}I", *values)
            if len(values) > 1:
                place = start + 2 + 12 * len(entries) + 4 + len(longer)
                longer += packed
                packed = struct.pack(f"{order}I", place)
            directory += struct.pack(f"{order}HHI", tag, 4, len(values)) + packed
        head = tags.prefix + struct.pack(f"{order}HI", 42, start)
        count = struct.pack(f"{order}H", len(entries))
        file = b"".join([head, data[8:], b"\0" * (start - len(data)), count, directory, bytes(4), longer])
        plane = TiffImagePlugin.TiffImageFile(io.BytesIO(file))
        load(plane)
        yield plane


def _stated_bits(image: Image.Image, tags: Any, data: bytes) -> int | None:
    """How many bits the values have, by the file: PNG's sBIT, or TIFF's MaxSampleValue where it is 2ⁿ − 1.

    Another MaxSampleValue is that of this image alone, by which no other image could be compared with it.
    """
    if image.format == "PNG":
        content = png_chunk(data, b"sBIT")
        return max(content[: len(content) - (data[25] in (4, 6))], default=0) or None
    value = tags.get(MAX_SAMPLE)
    value = max(value) if isinstance(value, tuple) else value
    return value.bit_length() if isinstance(value, int) and value & (value + 1) == 0 and value > 0 else None


def eight_bits(samples: Samples, stretch: int | None) -> tuple[Image.Image, Image.Image | None, bool]:
    """The picture in L or RGB, its alpha in L if it has any, and whether it uses less than a quarter of its range.

    `stretch` is the value that becomes white; by 0 the darkest and the brightest of this image become black and white.
    """
    low, high, low_bits = FULL, 0, 0
    fewer = (1 << samples.bits) - 1 if samples.bits else samples.top
    mask = (1 << max(0, samples.top.bit_length() - fewer.bit_length())) - 1
    for _, values in samples.parts():
        colours = samples.colours(values)
        low, high = min(low, int(colours.min())), max(high, int(colours.max()))
        low_bits |= int(np.bitwise_or.reduce(colours & mask, axis=None)) if mask else 0
    # A PNG of 12 significant bits should hold them on top, which leaves the last 4 at 0 in the dark: then all 16 count.
    # Cameras write plain values.
    plain = fewer < samples.top and high <= fewer and bool(low_bits or not samples.bits_on_top)
    black, white = 0, fewer if plain else samples.top
    if stretch:
        white = stretch
    elif stretch == 0 and low < high:
        black, white = low, high
    narrow = stretch is None and not plain and 0 < high <= samples.top // 4
    picture: np.ndarray | None = None
    alpha = None
    for part, values in samples.parts():
        colours = samples.colours(values)
        if picture is None:
            picture = np.empty((samples.height, *colours.shape[1:]), dtype=np.uint8)
            alpha = (
                np.full(picture.shape[:2], 255, dtype=np.uint8)
                if samples.alpha or samples.transparent is not None
                else None
            )
        picture[part] = _scaled(colours, black, white)
        if alpha is not None and samples.alpha:
            alpha[part] = _scaled(values[..., -1], 0, FULL)
        elif alpha is not None:
            same = colours == np.asarray(samples.transparent)
            alpha[part][same.all(axis=-1) if same.ndim == 3 else same] = 0
    assert picture is not None
    if samples.white_is_zero:
        picture = 255 - picture
    return Image.fromarray(picture), None if alpha is None else Image.fromarray(alpha), narrow


def _scaled(values: np.ndarray, black: int, white: int) -> np.ndarray:
    span = max(1, white - black)
    above = values.clip(black, max(black, white)).astype(np.uint32) - black
    return ((above * 255 + span // 2) // span).astype(np.uint8)
