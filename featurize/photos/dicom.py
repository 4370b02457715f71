"""A DICOM file becomes a picture: its values rescaled, windowed and coloured as the file says (pydicom reads it).

Nothing that pydicom says goes into a message: it quotes the file, which may name a patient.
"""

import io
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
from PIL import Image
from PIL.ImageFile import ImageFile
from PIL.Jpeg2KImagePlugin import Jpeg2KImageFile
from PIL.JpegImagePlugin import JpegImageFile
from pydicom.datadict import tag_for_keyword
from pydicom.dataset import Dataset
from pydicom.encaps import get_frame
from pydicom.filereader import read_dataset, read_preamble
from pydicom.pixels import apply_color_lut, apply_modality_lut, apply_voi, get_decoder, pixel_array
from pydicom.uid import UID, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from featurize.photos.levels import FULL, ROWS_AT_ONCE, Samples
from featurize.photos.unread import ImageRejected

warnings.filterwarnings("ignore", module="pydicom")
logging.getLogger("pydicom").setLevel(logging.CRITICAL)

PIXELS = {tag_for_keyword(name) for name in ("PixelData", "FloatPixelData", "DoubleFloatPixelData")}
PALETTES = [
    f"{segmented}{colour}PaletteColorLookupTable{part}"
    for colour in ("Red", "Green", "Blue")
    for segmented, part in (("", "Descriptor"), ("", "Data"), ("Segmented", "Data"))
]
# All that is read of a file, beside its pixels.
READ: list[Any] = [
    tag_for_keyword(name)
    for name in (
        *("Rows", "Columns", "SamplesPerPixel", "PhotometricInterpretation", "NumberOfFrames"),
        *("BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation", "PlanarConfiguration"),
        *("RescaleSlope", "RescaleIntercept", "ModalityLUTSequence"),
        *("WindowCenter", "WindowWidth", "VOILUTFunction", "VOILUTSequence", "ICCProfile"),
        *("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence", *PALETTES),
    )
]
OF_A_FRAME = ("PixelValueTransformationSequence", "FrameVOILUTSequence")
GREY = ("MONOCHROME1", "MONOCHROME2")
COLOURS = ("RGB", "YBR_FULL", "YBR_FULL_422", "YBR_ICT", "YBR_RCT")
PALETTE = "PALETTE COLOR"
# Retired ones, and those of other objects than photos, which can be named without quoting the file.
OTHERS = ("HSV", "ARGB", "CMYK", "YBR_PARTIAL_420", "YBR_PARTIAL_422", "XYB")
LONG_ELEMENT = 12  # bytes in front of its value
FRAMES: dict[bytes, type[JpegImageFile] | type[Jpeg2KImageFile]] = {
    b"\xff\xd8": JpegImageFile,
    b"\xff\x4f\xff\x51": Jpeg2KImageFile,
    b"\0\0\0\x0cjP  ": Jpeg2KImageFile,
}
DAMAGED = "a DICOM file that is damaged or ends early"
NO_PICTURE = "a DICOM file without a picture"
DECODERS = "pip install python-gdcm"


@contextmanager
def _damage_rejected() -> Iterator[None]:
    """What is raised of damaged files may be almost anything, and quote them."""
    try:
        yield
    except (ImageRejected, MemoryError):
        raise
    except Exception:
        raise ImageRejected(DAMAGED) from None


class DicomImageFile(ImageFile):
    """An opened DICOM file: its size and number of frames by its header, its pixels when it is loaded.

    Loaded, it has 8 bits, in L or RGB; `samples` gives more where no window says which values to show.
    """

    format, format_description = "DICOM", "DICOM"

    def _open(self) -> None:
        with _damage_rejected():
            self._read_header()

    def _read_header(self) -> None:
        stream: Any = self.fp
        read_preamble(stream, force=True)
        meta = read_dataset(stream, False, True, stop_when=lambda tag, vr, length: tag.group != 2)
        start = stream.tell()
        letters = stream.read(6)[4:]
        stream.seek(start)
        assumed = ExplicitVRLittleEndian if letters.isupper() else ImplicitVRLittleEndian
        self.syntax = UID(meta.get("TransferSyntaxUID") or assumed)
        # What deflates the whole file could be of any size.
        if self.syntax.is_private or not self.syntax.is_transfer_syntax or self.syntax.is_deflated:
            raise _no_decoder(self.syntax)
        self.about = read_dataset(
            stream,
            self.syntax.is_implicit_VR,
            self.syntax.is_little_endian,
            stop_when=lambda tag, vr, length: tag in PIXELS,
            specific_tags=READ,
        )
        self._pixels = stream.tell() + LONG_ELEMENT
        about = self.about
        self._size = int(about.get("Columns") or 0), int(about.get("Rows") or 0)
        if not stream.read(1) or 0 in self._size:
            raise ImageRejected(NO_PICTURE)
        self.photometric = str(about.get("PhotometricInterpretation", "")).strip()
        n_samples = 3 if self.photometric in COLOURS else 1
        if self.photometric not in (*GREY, *COLOURS, PALETTE) or about.get("SamplesPerPixel", 1) != n_samples:
            named = self.photometric if self.photometric in (*GREY, *COLOURS, PALETTE, *OTHERS) else "unknown"
            raise ImageRejected(
                f"a DICOM file with the photometric interpretation {named} (samples per pixel: "
                f"{about.get('SamplesPerPixel', 1):d}), which is not read"
            )
        allocated = int(about.BitsAllocated)
        self.bits = int(about.get("BitsStored") or allocated)
        if allocated not in (1, 8, 16) or not 0 < self.bits <= allocated:
            raise ImageRejected(
                f"DICOM values of {self.bits} bits in {allocated} are not read; at most 16 are"
            )
        try:
            if not get_decoder(self.syntax).is_available:
                raise _no_decoder(self.syntax)
        except NotImplementedError:
            raise _no_decoder(self.syntax) from None
        self._mode = "L" if self.photometric in GREY else "RGB"
        self.n_frames, self.frame = max(1, int(about.get("NumberOfFrames") or 1)), 0
        if about.get("ICCProfile"):
            self.info["icc_profile"] = bytes(about.ICCProfile)

    def tell(self) -> int:
        return self.frame

    def seek(self, frame: int) -> None:
        self.frame = frame

    def load(self) -> Any:
        if self._im is None:
            with _damage_rejected():
                self.im = Image.fromarray(self._eight_bits()).im
        return Image.Image.load(self)

    def samples(self, stretch: int | None) -> Samples | None:
        """The values of a picture of more than 8 bits; None where it has 8, or its window or table makes them 8.

        A `stretch` takes the place of both: values count as rescaled then, in CT as Hounsfield units.
        """
        with _damage_rejected():
            if self.photometric == PALETTE:
                return self._of_palette()
            if self.bits <= 8:
                return None
            return self._of_grey(stretch) if self.photometric in GREY else self._of_colours()

    def _of_palette(self) -> Samples | None:
        if self.about.RedPaletteColorLookupTableDescriptor[2] <= 8:
            return None
        colours = apply_color_lut(self._stored(), self.about)
        return Samples(len(colours), lambda part: colours[part])

    def _of_colours(self) -> Samples:
        stored = self._stored()
        return Samples(len(stored), lambda part: stored[part].astype(np.uint16), top=(1 << self.bits) - 1)

    def _of_grey(self, stretch: int | None) -> Samples | None:
        real, about = self._rescaled()
        if stretch is None and _shown(real, about) is not None:
            return None
        top = (1 << self.bits) - 1
        if stretch or _sequence(about, "ModalityLUTSequence"):
            table = real.round().clip(0, FULL).astype(np.uint16)
            top = FULL if stretch else _top_of(about.ModalityLUTSequence[0])
        else:
            table = np.arange(top + 1, dtype=np.uint16)
            table = table[::-1] if real[0] > real[-1] else table
        stored = self._stored()
        values = Samples(len(stored), lambda part: self._by(table, stored[part]), top=top)
        return replace(values, white_is_zero=self.photometric == "MONOCHROME1")

    def _eight_bits(self) -> np.ndarray:
        """All pixels as uint8; grey by the window or the table of the file, else by all that its bits can hold."""
        if self.photometric == PALETTE:
            return apply_color_lut(self._stored(), self.about)
        stored = self._stored()
        if self.photometric in COLOURS:
            top = (1 << self.bits) - 1
            return stored if top == 255 else (stored * np.uint16(255) // top).astype(np.uint8)
        real, about = self._rescaled()
        shown = _shown(real, about)
        if shown is None:
            shown = (real - real.min()) / (np.ptp(real) or 1)
        table = np.floor(shown * 255 + 0.5).astype(np.uint8)
        if self.photometric == "MONOCHROME1":
            table = 255 - table
        picture = np.empty(stored.shape, dtype=np.uint8)
        for start in range(0, len(stored), ROWS_AT_ONCE):
            picture[start : start + ROWS_AT_ONCE] = self._by(table, stored[start : start + ROWS_AT_ONCE])
        return picture

    def _stored(self) -> np.ndarray:
        """The values of the frame as they lie in the file; colours as RGB."""
        stream: Any = self.fp
        try:
            if self.syntax.is_compressed:
                self._check_frame(stream)
            values = pixel_array(stream, index=self.frame, transfer_syntax_uid=self.syntax)
        except MemoryError:
            raise
        except Exception:
            compressed = f", or a kind of {self.syntax.name} that is not read: {DECODERS}"
            raise ImageRejected(DAMAGED + compressed * self.syntax.is_compressed) from None
        if values.shape[:2] != (self.height, self.width):
            raise ImageRejected(DAMAGED)
        return values

    def _check_frame(self, stream: Any) -> None:
        """A frame may say that it is far larger than its file says; libraries would unpack all of it."""
        stream.seek(self._pixels)
        frame = get_frame(stream, self.frame, number_of_frames=self.n_frames)
        for start, reader in FRAMES.items():
            if frame.startswith(start) and reader(io.BytesIO(frame), "").size != self.size:
                raise ValueError

    @property
    def _lowest(self) -> int:
        """The least value that can be stored."""
        return -(1 << (self.bits - 1)) if self.about.get("PixelRepresentation") == 1 else 0

    def _by(self, table: np.ndarray, stored: np.ndarray) -> np.ndarray:
        return table.take(stored.astype(np.int32) - self._lowest, mode="clip")

    def _rescaled(self) -> tuple[np.ndarray, Dataset]:
        """What each value that can be stored stands for, in the order of the values; and what is said of this frame."""
        about = self._of_frame()
        stored = np.arange(self._lowest, self._lowest + (1 << self.bits))
        if _sequence(about, "ModalityLUTSequence"):
            return apply_modality_lut(stored, about).astype(np.float64), about
        slope, intercept = _number(about, "RescaleSlope") or 1, _number(about, "RescaleIntercept") or 0
        return stored * slope + intercept, about

    def _of_frame(self) -> Dataset:
        """What the file says of all its frames, and over it what it says of this one."""
        about = Dataset()
        about.update(self.about)
        shared = _sequence(about, "SharedFunctionalGroupsSequence")[:1]
        own = _sequence(about, "PerFrameFunctionalGroupsSequence")[self.frame :][:1]
        for group in (*shared, *own):
            for name in OF_A_FRAME:
                for item in _sequence(group, name)[:1]:
                    about.update(item)
        return about


def _shown(real: np.ndarray, about: Dataset) -> np.ndarray | None:
    """How bright each value is shown, from 0 to 1; None where the file has neither a table nor a window for it.

    Of several windows the first counts; one whose width is not above 0 does not.
    """
    if tables := _sequence(about, "VOILUTSequence"):
        return (apply_voi(real.round().astype(np.int64), about) / _top_of(tables[0])).clip(0, 1)
    centre, width = _number(about, "WindowCenter"), _number(about, "WindowWidth")
    if centre is None or width is None or width <= 0:
        return None
    function = about.get("VOILUTFunction") or "LINEAR"
    if function == "SIGMOID":
        with np.errstate(over="ignore"):
            return 1 / (1 + np.exp(-4 * (real - centre) / width))
    if function == "LINEAR_EXACT":
        return ((real - centre) / width + 0.5).clip(0, 1)
    # As the standard has it (PS3.3, C.11.2.1.2): a width of 256 around 128 shows 0 to 255.
    return ((real - (centre - 0.5)) / max(width - 1, 1e-9) + 0.5).clip(0, 1)


def _number(about: Dataset, name: str) -> float | None:
    """The first number of an element; None where there is none that is finite."""
    value = about.get(name)
    if value is None or isinstance(value, str) or (not np.isscalar(value) and not len(value)):
        return None
    first: Any = value if np.isscalar(value) else value[0]
    number = float(first)
    return number if np.isfinite(number) else None


def _top_of(table: Dataset) -> int:
    """The largest value that a table can give."""
    return (1 << int(table.LUTDescriptor[2])) - 1


def _sequence(about: Dataset, name: str) -> list[Dataset]:
    return list(about.get(name) or [])


def _no_decoder(syntax: UID) -> ImageRejected:
    named = syntax.name if syntax.name != str(syntax) else "that is unknown"
    return ImageRejected(
        f"a DICOM file in the transfer syntax {named}, which nothing that is installed reads: "
        f"convert it to uncompressed DICOM, JPEG, PNG or TIFF, or {DECODERS}"
    )
