"""Coverage-guided fuzzing of the decoder; run by hand, not by pytest.

    pip install atheris
    nice -n 19 python tests/fuzz/fuzz_decoder.py CORPUS -max_total_time=600 -max_len=4096 -timeout=20

CORPUS is a folder, filled with small pictures of every format when it is empty. Atheris follows the branches
of Python code: ours and Pillow's readers, which parse headers, metadata and chunks. Pillow's compiled decoders
are run, but do not guide the search.
"""

import io
import sys
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["PIL", "featurize"]):
    from PIL import Image

    from featurize.photos.decode import ImageRejected
    from featurize.photos.photo import Photo

DECODED_PIXELS = 1 << 20  # larger pictures only have their headers read, to keep the fuzzer quick


def check(data: bytes) -> None:
    """The promise: pixels of the announced size, or `ImageRejected`; nothing else comes out."""
    try:
        photo = Photo(data)
        if photo.width * photo.height > DECODED_PIXELS:
            return
        rgb = photo.rgb()
    except ImageRejected as rejected:
        assert str(rejected).isprintable() and str(rejected), repr(str(rejected))
        return
    assert rgb.shape == (photo.height, photo.width, 3), (rgb.shape, photo.width, photo.height)
    assert rgb.dtype == "uint8"
    scaled = Photo(data).rgb(shorter=1)
    scale = photo.scale(shorter=1)
    assert scaled.shape == (-(-photo.height // scale), -(-photo.width // scale), 3), (scaled.shape, scale)


def seeds() -> dict[str, bytes]:
    """Small pictures in every format and in many modes, by name."""
    picture = Image.radial_gradient("L").resize((24, 17))
    colour = Image.merge("RGB", [picture, picture.rotate(90), picture.rotate(180)])
    alpha = colour.copy()
    alpha.putalpha(picture)
    exif = Image.Exif()
    exif[0x0112] = 6
    exif[0x010F] = "maker"
    frames = [colour.rotate(90).convert("RGB")]
    wanted = {
        "jpeg": (colour, "JPEG", {"exif": exif}),
        "jpeg-grey": (picture, "JPEG", {}),
        "jpeg-cmyk": (colour.convert("CMYK"), "JPEG", {}),
        "jpeg-progressive": (colour, "JPEG", {"progressive": True}),
        "mpo": (colour, "MPO", {"save_all": True, "append_images": frames}),
        "png": (colour, "PNG", {"exif": exif}),
        "png-alpha": (alpha, "PNG", {}),
        "png-palette": (colour.quantize(7), "PNG", {"transparency": 3}),
        "png-1": (picture.convert("1"), "PNG", {}),
        "png-16": (picture.convert("I;16"), "PNG", {}),
        "apng": (colour, "PNG", {"save_all": True, "append_images": frames}),
        "gif": (colour.quantize(9), "GIF", {"transparency": 2}),
        "gif-frames": (colour, "GIF", {"save_all": True, "append_images": frames, "duration": 40}),
        "bmp": (colour, "BMP", {}),
        "bmp-palette": (colour.quantize(16), "BMP", {}),
        "tiff": (colour, "TIFF", {"exif": exif}),
        "tiff-lzw": (alpha, "TIFF", {"compression": "tiff_lzw"}),
        "tiff-g4": (picture.convert("1"), "TIFF", {"compression": "group4"}),
        "tiff-16": (picture.convert("I;16"), "TIFF", {}),
        "webp": (colour, "WEBP", {"exif": exif}),
        "webp-frames": (alpha, "WEBP", {"save_all": True, "append_images": [alpha.rotate(90)]}),
        "ppm": (colour, "PPM", {}),
        "pgm-16": (picture.convert("I;16"), "PPM", {}),
    }
    result = {"ppm-plain": b"P3 2 1 255\n1 2 3 4 5 6\n"}
    for name, (image, kind, options) in wanted.items():
        stream = io.BytesIO()
        image.save(stream, kind, **options)
        result[name] = stream.getvalue()
    return result


def main() -> None:
    folders = [Path(argument) for argument in sys.argv[1:] if not argument.startswith("-")]
    for folder in folders[:1]:
        folder.mkdir(parents=True, exist_ok=True)
        if not any(folder.iterdir()):
            for name, data in seeds().items():
                (folder / name).write_bytes(data)
    atheris.Setup(sys.argv, check)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
