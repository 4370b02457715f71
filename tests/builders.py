"""Photos, tables and commands for tests: one place that makes each of them.

``from builders import write_photos`` works in every test file (``pythonpath`` in pyproject.toml).
"""

import contextlib
import hashlib
import html
import http.client
import importlib
import io
import json
import os
import re
import shlex
import signal
import struct
import subprocess
import sys
import tarfile
import threading
import time
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from featurize import FeatureTable

# -- photos ------------------------------------------------------------------------------------------


def noise(width: int = 24, height: int = 24, seed: int = 0, low: int = 0, high: int = 256) -> Image.Image:
    """An RGB picture of uniform noise between two grey levels; every seed gives another one."""
    pixels = np.random.default_rng(seed).integers(low, high, (height, width, 3))
    return Image.fromarray(pixels.astype(np.uint8))


def write_photos(folder: Path, names: Iterable[str], width=24, height=24, seed=0) -> Path:
    """Write one noise photo per name, all different, in the format of the name's ending."""
    for number, name in enumerate(names):
        path = Path(folder) / name
        path.parent.mkdir(parents=True, exist_ok=True)
        noise(width, height, 1000 * seed + number).save(path)
    return Path(folder)


def write_textures(folder: Path, n: int = 8, width: int = 64, height: int = 48) -> Path:
    """Write ``n`` rough and ``n`` smooth photos, one class folder each, which texture features tell apart."""
    rng = np.random.default_rng(0)
    for label, spread in (("rough", 40), ("smooth", 1)):
        (Path(folder) / label).mkdir(parents=True)
        for number in range(n):
            ramp = np.linspace(40, 200, width)[None, :] + np.zeros((height, 1)) + number
            pixels = np.clip(ramp + rng.normal(size=(height, width)) * spread, 0, 255).astype(np.uint8)
            Image.fromarray(np.stack([pixels] * 3, axis=2)).save(Path(folder) / label / f"{number}.png")
    return Path(folder)


def encoded(image: Image.Image, kind: str, **options) -> bytes:
    """The bytes of a picture as a file of that format."""
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def png_chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width: int, height: int, bits: int, colour: int, rows: bytes, *chunks: tuple[bytes, bytes]) -> bytes:
    """A PNG file written chunk by chunk: depths, palettes and sizes that no library writes."""
    header = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0)
    parts = [(b"IHDR", header), *chunks, (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(png_chunk(kind, data) for kind, data in parts)


def tiff(*pages: tuple[dict[int, int | tuple[int, ...]], list[bytes]], order: str = "<") -> bytes:
    """A TIFF written by hand: of each page, its tags and its strips (tiles, where tag 322 gives their width)."""
    file = (b"II*\0" if order == "<" else b"MM\0*") + bytes(4)
    last = 4  # where the place of the next directory stands
    for tags, blocks in pages:
        places = [len(file) + sum(map(len, blocks[:number])) for number in range(len(blocks))]
        file += b"".join(blocks)
        file += b"\0" * (len(file) % 2)
        where = (324, 325) if 322 in tags else (273, 279)
        own = {where[0]: tuple(places), where[1]: tuple(map(len, blocks)), **tags}
        entries = {tag: value if isinstance(value, tuple) else (value,) for tag, value in sorted(own.items())}
        start, directory, longer = len(file), struct.pack(f"{order}H", len(entries)), b""
        for tag, values in entries.items():
            packed = struct.pack(f"{order}{len(values)}I", *values)
            if len(values) > 1:
                place = start + 2 + 12 * len(entries) + 4 + len(longer)
                longer, packed = longer + packed, struct.pack(f"{order}I", place)
            directory += struct.pack(f"{order}HHI", tag, 4, len(values)) + packed
        file = (
            file[:last] + struct.pack(f"{order}I", start) + file[last + 4 :] + directory + bytes(4) + longer
        )
        last = start + len(directory)
    return file


def planar_tiff(values: np.ndarray, order: str = "<", rows_per_strip: int = 0, **tags: int) -> bytes:
    """The (height, width, channels) of uint16 as planes that lie apart; `tags` as ``t266=2``."""
    height, width, n_planes = values.shape
    rows = rows_per_strip or height
    planes = np.moveaxis(values, 2, 0).astype(f"{order}u2")
    strips = [plane[at : at + rows].tobytes() for plane in planes for at in range(0, height, rows)]
    known = {256: width, 257: height, 258: (16,) * n_planes, 259: 1, 262: 2, 277: n_planes, 278: rows, 284: 2}
    return tiff((known | {int(tag[1:]): value for tag, value in tags.items()}, strips), order=order)


def icc_profile(red, green, blue, gamma: float) -> bytes:
    """A profile of RGB (ICC v2, a matrix and a curve) by the XYZ of its primaries, as the specification has it."""

    def fixed(*numbers: float) -> bytes:
        return b"".join(struct.pack(">i", round(number * 65536)) for number in numbers)

    curve = b"curv\0\0\0\0" + struct.pack(">IH", 1, round(gamma * 256))
    tags = {
        b"desc": b"desc\0\0\0\0" + struct.pack(">I", 5) + b"test\0" + b"\0" * 78,
        b"cprt": b"text\0\0\0\0none\0",
        b"wtpt": b"XYZ \0\0\0\0" + fixed(0.9642, 1, 0.8249),
        **{
            name: b"XYZ \0\0\0\0" + fixed(*xyz)
            for name, xyz in zip((b"rXYZ", b"gXYZ", b"bXYZ"), (red, green, blue), strict=True)
        },
        **dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), curve),
    }
    table, body, start = b"", b"", 132 + 12 * len(tags)
    for name, content in tags.items():
        table += name + struct.pack(">II", start + len(body), len(content))
        body += content + b"\0" * (-len(content) % 4)
    head = struct.pack(">I4sI4s4s4s", start + len(body), b"none", 0x02400000, b"mntr", b"RGB ", b"XYZ ")
    head += (
        struct.pack(">6H", 2026, 1, 1, 0, 0, 0) + b"acsp" + bytes(28) + fixed(0.9642, 1, 0.8249) + bytes(48)
    )
    return head + struct.pack(">I", len(tags)) + table + body


DISPLAY_P3 = (0.51512, 0.2412, -0.00105), (0.29198, 0.69225, 0.04189), (0.1571, 0.06657, 0.78407), 2.2


def dicom(values: np.ndarray, photometric: str = "MONOCHROME2", bits: int = 0, **elements) -> bytes:
    """A DICOM file of a patient called Secret, by its stored values and other elements; None leaves one out.

    `elements` may hold ``syntax``, a transfer syntax; of a compressed one, ``PixelData`` is what is encapsulated.
    """
    import pydicom

    elements = dict(elements)
    n_samples = values.shape[-1] if photometric.startswith(("RGB", "YBR")) else 1
    shape = values.shape[:-1] if n_samples > 1 else values.shape
    dataset = pydicom.Dataset()
    dataset.file_meta = pydicom.dataset.FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = elements.pop("syntax", pydicom.uid.ExplicitVRLittleEndian)
    dataset.SOPClassUID, dataset.SOPInstanceUID = pydicom.uid.SecondaryCaptureImageStorage, "1.2.3"
    dataset.PatientName = "Secret^Patient"
    allocated = 8 * values.dtype.itemsize
    known = {
        "Rows": shape[-2], "Columns": shape[-1], "SamplesPerPixel": n_samples,
        "PhotometricInterpretation": photometric, "BitsAllocated": allocated, "BitsStored": bits or allocated,
        "HighBit": (bits or allocated) - 1, "PixelRepresentation": int(values.dtype.kind == "i"),
        **({"PlanarConfiguration": 0} if n_samples > 1 else {}),
        **({"NumberOfFrames": shape[0]} if len(shape) == 3 else {}), "PixelData": values.tobytes(),
    } | elements  # fmt: skip
    for name, value in known.items():
        if value is not None:
            setattr(dataset, name, value)
    if dataset.file_meta.TransferSyntaxUID.is_compressed and "PixelData" in dataset:
        dataset.PixelData = pydicom.encaps.encapsulate([dataset.PixelData])
        dataset["PixelData"].VR = "OB"
    stream = io.BytesIO()
    pydicom.dcmwrite(stream, dataset, enforce_file_format=True)
    return stream.getvalue()


# -- tables ------------------------------------------------------------------------------------------


def made_table(
    n_rows: int = 60,
    labels: Sequence[str] = ("ant", "bee", "cat"),
    separation: float = 2.0,
    seed: int = 1,
    start: int = 0,
    **columns,
) -> FeatureTable:
    """A table with features ``good`` (4 numbers, labels ``separation`` apart) and ``noise`` (2 numbers).

    Rows take the labels in turn; names and digests count from ``start``, so that two tables can be disjoint.
    """
    rng = np.random.default_rng(seed)
    code = np.arange(n_rows) % len(labels)
    good = rng.normal(size=(n_rows, 4)) + separation * np.eye(4)[code % 4]
    label = np.array(labels)[code]
    numbers = range(start, start + n_rows)
    columns.setdefault("image", [f"{label[i]}/{n}.jpg" for i, n in enumerate(numbers)])
    columns.setdefault("sha256", [digest_of(n) for n in numbers])
    vectors = {"good": good, "noise": rng.normal(size=(n_rows, 2))}
    return FeatureTable.from_arrays(vectors, label=label, **columns)


def digest_of(number: int) -> str:
    """The SHA-256 that row ``number`` of a made-up table has."""
    return hashlib.sha256(str(number).encode()).hexdigest()


def leaf_table(n_leaves: int = 8, per_leaf: int = 3, **columns) -> FeatureTable:
    """Photos of leaves, all of a leaf in one group, the leaves rust and well in turn; one feature, ``x``."""
    leaf = np.repeat(np.arange(n_leaves), per_leaf)
    given = {
        "label": np.array(["rust", "well"])[leaf % 2],
        "group": [f"leaf {one}" for one in leaf],
        "image": [f"{one}.jpg" for one in range(len(leaf))],
        "sha256": [digest_of(one) for one in range(len(leaf))],
    }
    x = np.random.default_rng(0).normal(size=(len(leaf), 2)) + (leaf % 2)[:, None]
    return FeatureTable.from_arrays({"x": x}, **given | columns)


def write_folds(path: Path | str, folds: Sequence[int | str]) -> None:
    """Write a folds file that gives row ``i`` of a made-up table (`digest_of`) the fold or side ``folds[i]``."""
    rows = "".join(f"{digest_of(row)},{fold}\n" for row, fold in enumerate(folds))
    Path(path).write_text("sha256,fold\n" + rows)


def burst_table() -> FeatureTable:
    """40 scenes photographed three times, rows 0 to 2 the first; nothing but the scene tells its label."""
    rng = np.random.default_rng(0)
    scenes = np.repeat(rng.normal(size=(40, 80)), 3, axis=0)
    return FeatureTable.from_arrays(
        {"net": scenes + rng.normal(size=(120, 80)) * 0.05},
        label=np.repeat(rng.permutation(["rust", "well"] * 20), 3),
        sha256=[digest_of(n) for n in range(120)],
    )


def twin_table() -> FeatureTable:
    """80 photos in groups of two, which resemble each other; the labels fern and moss overlap."""
    rng = np.random.default_rng(5)
    y = np.repeat(["fern", "moss"], 40)
    x = rng.normal(size=(80, 6)) + 0.6 * (y == "moss")[:, None]
    x += np.repeat(rng.normal(size=(40, 6)), 2, axis=0)
    return FeatureTable.from_arrays({"x": x}, label=y, group=[f"g{i // 2}" for i in range(80)])


def network_table(n_rows: int, labels: str = "abcde", **columns) -> FeatureTable:
    """Features ``net`` (64 numbers, none below 0, as of a network) and ``glcm`` (3 of very different scale).

    One label after the other, as a folder gives them.
    """
    rng = np.random.default_rng(n_rows)
    label = np.sort(np.array(list(labels))[np.arange(n_rows) % len(labels)])
    centres = rng.exponential(size=(len(labels), 64))
    network = np.maximum(
        rng.exponential(size=(n_rows, 64)) + 0.3 * centres[np.unique(label, return_inverse=True)[1]], 0
    )
    texture = rng.normal(size=(n_rows, 3)) * [1, 10, 100] + (label == "a")[:, None]
    sha256 = [f"{i:064x}" for i in range(n_rows)]
    return FeatureTable.from_arrays({"net": network, "glcm": texture}, label=label, sha256=sha256, **columns)


def separable_table() -> FeatureTable:
    """60 rows, three labels that any head tells apart, features ``wide`` (40) and ``noise`` (3)."""
    rng = np.random.default_rng(0)
    labels = np.repeat(["ant", "bee", "cat"], 20)
    # Each label has its own third of the numbers, so that neither length nor scale matters.
    strong = np.equal(np.arange(40) % 3, (np.arange(60) // 20)[:, None])
    wide = np.abs(rng.normal(size=(60, 40))) * 0.3 + 3.0 * strong
    return FeatureTable.from_arrays(
        {"wide": wide, "noise": rng.normal(size=(60, 3))},
        label=labels,
        image=[f"{label}/{i}.jpg" for i, label in enumerate(labels)],
        sha256=[f"{i:064x}" for i in range(60)],
    )


def rose_table() -> FeatureTable:
    """300 photos: two roses that are hard to tell apart, a tulip and a dog that are not; see `ROSES`."""
    rng = np.random.default_rng(3)
    label = np.array(["dog", "dog rose", "tea rose", "tulip"])[np.arange(300) % 4]
    place = np.array([[9, 0, 0], [0, 0, 0], [0.5, 0, 0], [0, 9, 0]])[np.arange(300) % 4]
    sha256 = [digest_of(number) for number in range(300)]
    return FeatureTable.from_arrays({"x": place + rng.normal(size=(300, 3))}, label=label, sha256=sha256)


ROSES = "label,parent,grandparent\ntea rose,rose,plant\ndog rose,rose,plant\ntulip,plant,\ndog,,\n"


def quick_heads() -> list[str]:
    """A spec of every registered head that is fitted in no time."""
    from classify import head_names

    quick = {"random-forest": "n_estimators=20", "gradient-boosting": "max_iter=10", "mlp": "max_iter=100"}
    return [f"{name}:{quick[name]}" if name in quick else name for name in head_names()]


def described(table: FeatureTable) -> FeatureTable:
    """The table, with a description of how its vectors were made, as `featurize extract` writes one."""
    for name in table.features:
        table.metadata["features"][name] = {
            "spec": name,
            "family": "imported",
            "fingerprint": f"{name:0<64}",
            "description": {"layer": "mixed8", "resize": {"size": 299, "kind": "bilinear"}},
            "weights": {"source": "file", "file": "w.h5", "sha256": "ab" * 32},
        }
    return table


def with_photos(table: FeatureTable, folder: Path) -> FeatureTable:
    """The table with a real photo behind each row, 40 wide and 20 high, in `folder`."""
    digests = []
    for number, name in enumerate(table.image):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (40, 20), (4 * number, 120, 90)).save(path)
        digests.append(hashlib.sha256(path.read_bytes()).hexdigest())
    found = table.with_column("sha256", digests)
    found.metadata["source"] = {"path": str(folder), "kind": "folder"}
    return found


# -- files -------------------------------------------------------------------------------------------


def flip_bit(path: Path, place: int | float = 0.5, bit: int = 0) -> None:
    """Damage a file: flip one bit of the byte at a number, or at a share of its length."""
    data = bytearray(Path(path).read_bytes())
    data[int(place * len(data)) if isinstance(place, float) else place] ^= 1 << bit
    Path(path).write_bytes(data)


def members_of(path: Path) -> dict[str, bytes]:
    """The members of a zip file, such as a model, by name."""
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def write_members(
    path: Path | IO[bytes],
    members: Mapping[str, str | bytes] | Iterable[tuple[str, str | bytes]],
    compression: int = zipfile.ZIP_STORED,
) -> None:
    """The opposite of `members_of`; pairs may hold a name twice."""
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, data in members.items() if isinstance(members, Mapping) else members:
            archive.writestr(name, data)


TAR_MODES = {"gz": "w:gz", "tgz": "w:gz", "bz2": "w:bz2", "xz": "w:xz", "tar": "w:"}


def write_archive(path: Path, members: Mapping[str, bytes] | Iterable[tuple[str, bytes]]) -> Path:
    """A zip or tar, by its name's ending, of members in their order; a name that ends in ``/`` is a folder."""
    pairs = list(members.items() if isinstance(members, Mapping) else members)
    if path.suffix == ".zip":
        write_members(path, pairs, zipfile.ZIP_DEFLATED)
        return path
    with tarfile.open(path, TAR_MODES[path.suffix[1:]]) as archive:
        for name, data in pairs:
            info = tarfile.TarInfo(name.rstrip("/"))
            info.type, info.size = (tarfile.DIRTYPE if name.endswith("/") else tarfile.REGTYPE), len(data)
            archive.addfile(info, io.BytesIO(data))
    return path


def pack(folder: Path, path: Path, prefix: str = "") -> Path:
    """An archive of what a folder holds, in no particular order, below `prefix`."""
    files = sorted(folder.rglob("*"), key=lambda file: hashlib.sha256(os.fsencode(file)).digest())
    names = [prefix + file.relative_to(folder).as_posix() + "/" * file.is_dir() for file in files]
    data = [b"" if file.is_dir() else file.read_bytes() for file in files]
    return write_archive(path, zip(names, data, strict=True))


def write_hugging_face(
    path: Path, rows: Sequence[Mapping], names: Sequence[str] | None = None, **options
) -> Path:
    """A Parquet file as Hugging Face writes it: images of bytes and path, classes by number with `names` aside."""
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    columns = {name: [row[name] for row in rows] for name in rows[0]}
    arrays = {name: pa.array(values, kind if name == "image" else None) for name, values in columns.items()}
    features: dict[str, dict] = {
        name: {"dtype": str(arrays[name].type), "_type": "Value"} for name in columns
    }
    features["image"] = {"_type": "Image"}
    features |= {"label": {"names": [*names], "_type": "ClassLabel"}} if names else {}
    about = {"huggingface": json.dumps({"info": {"features": features}})}
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(arrays).replace_schema_metadata(about), path, **options)
    return path


def words_of_page(page: str) -> str:
    """What a page says, without its tags, style and script, with one space between words."""
    text = re.sub(r"<(style|script)>.*?</\1>", "", page, flags=re.DOTALL)
    return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", text)).split())


# -- object storage ----------------------------------------------------------------------------------


class S3Server:
    """An S3 server on this machine that can be slow, fail, and tell what it was asked for.

    `failing` requests are answered 503 before it works again; `delay` seconds pass before each answer; `requests`
    holds the method and the path of each.
    """

    def __init__(self) -> None:
        from moto.server import DomainDispatcherApplication, create_backend_app
        from werkzeug.serving import WSGIRequestHandler, make_server

        class Quiet(WSGIRequestHandler):
            def log(self, *args, **options):
                pass

        self.failing, self.delay = 0, 0.0
        self.fail_each = 0  # of so many requests one is answered 503, as of a busy server
        self.requests: list[tuple[str, str]] = []
        self._lock = threading.Lock()
        self._app = DomainDispatcherApplication(create_backend_app)
        self._server = make_server("127.0.0.1", 0, self._answer, threaded=True, request_handler=Quiet)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def _answer(self, environment, start):
        with self._lock:
            self.requests.append((environment["REQUEST_METHOD"], environment["PATH_INFO"]))
            fails = self.failing > 0 or (self.fail_each > 0 and len(self.requests) % self.fail_each == 0)
            self.failing -= self.failing > 0
        time.sleep(self.delay)
        if fails:
            start("503 Slow Down", [("Content-Type", "application/xml")])
            answer = (
                b"<Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>"
            )
            return [] if environment["REQUEST_METHOD"] == "HEAD" else [answer]
        return self._app(environment, start)

    def n_read(self) -> int:
        """How many photos were fetched."""
        return sum(method == "GET" and path.endswith((".png", ".jpg")) for method, path in self.requests)

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def upload(folder: Path, url: str) -> None:
    """Put the files below a folder at a URL."""
    import fsspec

    system, root = fsspec.core.url_to_fs(url)
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            system.pipe_file(f"{root}/{path.relative_to(folder).as_posix()}", path.read_bytes())


# -- commands ----------------------------------------------------------------------------------------


@dataclass
class Outcome:
    """What a command left behind: its exit status and what it wrote."""

    status: int
    out: str
    err: str

    @property
    def error(self) -> str:
        """The text of the one ``error:`` line, after checking that one ``hint:`` line follows it."""
        lines = [line for line in self.err.splitlines() if line.startswith(("error:", "hint:"))]
        assert [line.partition(":")[0] for line in lines] == ["error", "hint"], self.err
        assert "Traceback" not in self.err
        return lines[0].removeprefix("error: ")

    @property
    def hint(self) -> str:
        """The text of the one ``hint:`` line."""
        assert self.error
        return next(line for line in self.err.splitlines() if line.startswith("hint:")).removeprefix("hint: ")


def run(*words: str | Path) -> Outcome:
    """Run ``featurize …``, ``classify …``, ``evaluate …`` or ``bottlehead …`` in this process.

    A single string is split as a shell splits it; several words are taken as they are.
    """
    package, *arguments = shlex.split(str(words[0])) if len(words) == 1 else map(str, words)
    module = "evaluate.whole_job.command" if package == "bottlehead" else f"{package}.cli"
    main = importlib.import_module(module).main
    with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.redirect_stderr(io.StringIO()) as err:
        try:
            status = main(arguments)
        except SystemExit as end:  # argparse: a wrong command line, --help
            status = end.code or 0
    return Outcome(status, out.getvalue(), err.getvalue())


def run_process(*words: str | Path, cwd: Path | None = None, **environment: str) -> Outcome:
    """Run the same in a process of its own, where start-up, signals or descriptors matter."""
    package, *arguments = shlex.split(str(words[0])) if len(words) == 1 else map(str, words)
    done = subprocess.run(
        [sys.executable, "-m", package, *arguments],
        cwd=cwd,
        env=os.environ | environment,
        capture_output=True,
        text=True,
    )
    return Outcome(done.returncode, done.stdout, done.stderr)


@contextlib.contextmanager
def unread() -> Iterator[IO[str]]:
    """A stream into a pipe whose reader has gone, as of ``| head``, for `contextlib.redirect_stdout` and its like."""
    reader, writer = os.pipe()
    os.close(reader)
    with open(writer, "w", buffering=1) as stream:
        yield stream


class Serving:
    """``classify serve …`` in a process of its own: `url` is where it answers, `log` what it has said so far."""

    def __init__(self, *words: str | Path, wait: bool = True, **environment: str) -> None:
        command = [sys.executable, "-m", "classify", "serve", *map(str, words), "--port", "0"]
        self.process = subprocess.Popen(
            command,
            env=os.environ | environment,
            stderr=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            text=True,
        )
        self._lines: list[str] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self.said("serving ")
        found = re.search(r"http://[^:]+:(\d+)(/\S*?)?(?:[; ]|$)", self.log)
        assert found, self.log
        self.port, self.root = int(found[1]), found[2] or ""
        self.url = f"http://127.0.0.1:{self.port}{self.root}"
        if wait:
            self.said("ready after")

    def _read(self) -> None:
        assert self.process.stderr is not None
        self._lines.extend(self.process.stderr)  # one by one, as they come

    @property
    def log(self) -> str:
        return "".join(list(self._lines))

    def said(self, text: str, seconds: float = 90) -> None:
        """Wait until it says so."""
        until = time.monotonic() + seconds
        while text not in self.log:
            assert time.monotonic() < until and self.process.poll() is None, self.log
            time.sleep(0.02)

    def ask(
        self, method: str, path: str, body: bytes | None = None, **headers: str
    ) -> tuple[int, dict[str, str], bytes]:
        """Status, headers and body of one request; ``x_y="z"`` is the header ``x-y: z``."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        with contextlib.closing(connection):
            named = {name.replace("_", "-"): value for name, value in headers.items()}
            connection.request(method, self.root + path, body, named)
            answer = connection.getresponse()
            return answer.status, {key.lower(): value for key, value in answer.getheaders()}, answer.read()

    def metric(self, name: str) -> float:
        """The sum of one metric."""
        lines = self.ask("GET", "/metrics")[2].decode().splitlines()
        return sum(float(line.split()[-1]) for line in lines if re.match(rf"{name}[ {{]", line))

    def close(self) -> int:
        """End it as a service is ended; its exit status."""
        assert self.process.stderr is not None
        with contextlib.suppress(ProcessLookupError):  # it has ended already
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(15)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise
        finally:
            self._reader.join(5)
            self.process.stderr.close()


def form_of(*photos: tuple[str, bytes]) -> tuple[bytes, str]:
    """The body of a multipart form with these files, by name, and its Content-Type."""
    head = b'--limit\r\nContent-Disposition: form-data; name="photo"; filename="%s"\r\n\r\n'
    parts = [head % name.encode("utf-8", "surrogateescape") + data + b"\r\n" for name, data in photos]
    return b"".join(parts) + b"--limit--\r\n", "multipart/form-data; boundary=limit"


def n_stored(store: Path) -> int:
    """How many vectors of photos are stored, as the command counts them; hashes are none."""
    if not store.is_dir():
        return 0
    rows = run("featurize", "store", "list", "--store", store, "--quiet").out.splitlines()[1:]
    return sum(int(row.split()[3].replace(",", "")) for row in rows if not row.startswith("phash "))


@contextlib.contextmanager
def closed(*paths: Path) -> Iterator[None]:
    """Inside, these files and folders may not be read, also where tests run as root, who may read everything."""
    as_root, modes = os.geteuid() == 0, {path: path.stat().st_mode for path in paths}
    for path in paths:
        for folder in path.parents[:-1] if as_root else ():
            with contextlib.suppress(PermissionError):
                folder.chmod(folder.stat().st_mode | 0o055)
        path.chmod(0)
    if as_root:
        os.seteuid(65534)
    try:
        yield
    finally:
        if as_root:
            os.seteuid(0)
        for path, mode in modes.items():
            path.chmod(mode)


@contextlib.contextmanager
def hears_sigint(number: int = signal.SIGINT) -> Iterator[None]:
    """Processes that are started inside hear SIGINT, or another signal that nobody handles; so does this one.

    A shell starts ``pytest &`` with SIGINT ignored, and nohup with SIGHUP, which children inherit; a signal with a
    handler they get back at its default.
    """
    before = signal.signal(number, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(number, before)
