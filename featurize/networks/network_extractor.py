"""What all extractors with a frozen network share: pixels in, a function loaded once, several outputs in one run."""

import json
import os
import time
from collections.abc import Sequence
from hashlib import sha256
from typing import Any

import numpy as np

from featurize.errors import UsageError, WeightsError
from featurize.extractors.base import NOT_FINITE, Extractor, golden_image
from featurize.files import whole_file
from featurize.networks.engines import Function, find_engine
from featurize.networks.retrain_pixels import check_parity, retrain_pixels
from featurize.photos.fileindex import FileIndex
from featurize.photos.photo import Photo, decode_policy, resize
from featurize.store.store import Store
from featurize.terminal import log

# -- A network that was just frozen is tried before its vectors are believed -----------------------------

# Relative, by precision: a library adds up batches of another size in another order, which costs up to 1e-5 in float32.
# A network that looks at the whole batch (batch norm as in training) is far off.
TOLERANCE = {"float32": 1e-4, "bfloat16": 1e-2}


def run(name: str, function: Function, pixels: np.ndarray) -> list[np.ndarray]:
    """What `function` makes of `pixels`; `name` is of the features, for people.

    Raises
    ------
    WeightsError
        If the network fails.
    """
    try:
        return function(pixels)
    except Exception as error:
        # TensorFlow and OpenVINO have kinds of their own for each way in which a network can fail.
        raise WeightsError(
            f"{name} cannot be run: {' '.join(str(error).split())[:200]}",
            "the network must take any number of photos at once, whatever they show; read another tensor of it, or "
            "give another one",
        ) from error


def try_out(team: Sequence[Any], function: Function) -> None:
    """Refuse a network that cannot be run, gives no finite numbers, or whose vectors depend on the batch.

    The synthetic image is run alone, and between two others.

    Parameters
    ----------
    team : sequence of FrozenExtractor
        One for each output of `function`.
    function : Function

    Raises
    ------
    WeightsError
    """
    first = team[0]
    golden = golden_image()
    photos = [Photo.from_array(rgb) for rgb in (255 - golden, golden, golden // 2)]
    prepared = [first.prepare(photo) for photo in photos]
    alone = run(first.name, function, first.gather(prepared[1:2]))
    beside = run(first.name, function, first.gather(prepared))
    for one, single, several in zip(team, alone, beside, strict=True):
        _check(one.name, one.precision, single, several, len(photos))


def _check(name: str, precision: str, single: np.ndarray, several: np.ndarray, n_photos: int) -> None:
    for matrix, count in ((single, 1), (several, n_photos)):
        if len(matrix) != count:
            raise WeightsError(
                f"{name} gives {len(matrix)} vectors for a batch of {count}",
                "read a tensor that has one row per photo",
            )
    if not (np.isfinite(single).all() and np.isfinite(several[1]).all()):
        raise WeightsError(
            f"{name} gives {NOT_FINITE} for the test image",
            "the weights are damaged, or pixels enter the network with another mean and std than it was made for",
        )
    length = np.linalg.norm(single.astype(np.float64))
    distance = np.linalg.norm(several[1].astype(np.float64) - single[0])
    if distance > TOLERANCE[precision] * length:
        share = f"{distance / length:.2g} of its length" if length else f"{distance:.2g}"
        raise WeightsError(
            f"{name} mixes the photos of a batch: the vector of the test image changes by {share} when others are "
            "beside it",
            "a vector must depend on its photo alone: freeze the network for inference (batch norm with its stored "
            "mean and variance), or read an earlier tensor",
        )


PRECISIONS = ("float32", "bfloat16")
# A JPEG may be scaled while decoding as long as this many pixels are left per pixel of the input.
DECODE_MARGIN = 2


class FrozenExtractor(Extractor):
    """An extractor whose vectors are read in a frozen network.

    A subclass stores ``precision``, ``parity`` and ``engine`` beside the arguments of every extractor, and defines:

    ``side``
        Of the square input, in pixels.
    ``end``
        Where in the network the vector is read.
    ``network_settings()``
        What can change a number, but for the pixels that go in, the precision and ``end``.
    ``scaled(pixels)``
        float32 pixels of 0 to 255 as the network wants them.
    ``freeze(team, precision)``
        The GraphDef of each extractor in `team`, which differ in ``end`` alone.
    """

    version = 1
    precision: str
    parity: str | None
    engine: str

    @property
    def side(self) -> int:
        """The side of the square input, in pixels."""
        raise NotImplementedError

    @property
    def end(self) -> str:
        """Where in the network the vector is read."""
        raise NotImplementedError

    def network_settings(self) -> dict[str, Any]:
        """Which network, with which weights and scaling, as plain JSON values."""
        raise NotImplementedError

    def scaled(self, pixels: np.ndarray) -> np.ndarray:
        """float32 pixels of 0 to 255 as the network wants them; may change `pixels`."""
        raise NotImplementedError

    def freeze(self, team: Sequence[Any], precision: str) -> list[bytes]:
        """The optimised GraphDef of each extractor of a team, frozen in `precision`."""
        raise NotImplementedError

    # -- the contract of an extractor -------------------------------------------------------------

    @property
    def value_names(self) -> Sequence[str]:
        return [f"{self.name}_{i:04d}" for i in range(self.width)]

    def settings(self) -> dict[str, Any]:
        self._check()
        if self.parity:
            pixels: dict[str, Any] = {
                "decode": "all pixels, as TensorFlow's decode_jpeg; EXIF orientation ignored",
                "resize": f"{self.side}x{self.side}, bilinear as in TensorFlow 1",
            }
        else:
            pixels = {
                "decode": decode_policy(shorter=self.side * DECODE_MARGIN),
                "resize": f"{self.side}x{self.side}, bilinear with antialiasing",
            }
        shared = {
            "pooling": "mean over the area",
            "engine": find_engine(self.engine).described,
            "precision": self.precision,
        }
        return {"layer": self.end, **pixels, **shared, **self.network_settings()}

    def _check(self) -> None:
        if self.precision not in PRECISIONS:
            raise UsageError(f"precision {self.precision!r}", f"choose {' or '.join(PRECISIONS)}")
        if self.precision == "bfloat16":
            from featurize.networks.tensorflow_engine import has_bfloat16

            if not has_bfloat16():
                raise UsageError(
                    "this processor does not compute in bfloat16 (it has neither avx512_bf16 nor amx_bf16)",
                    "use precision float32",
                )
        check_parity(self.parity, self.preprocess)

    def libraries(self) -> tuple[str, ...]:
        return ("numpy", "pillow", "tensorflow", "keras", *self._engine_libraries())

    def _engine_libraries(self) -> tuple[str, ...]:
        """What the engine needs beyond TensorFlow, which froze the graph."""
        return tuple(name for name in find_engine(self.engine).libraries if name != "tensorflow")

    def attach(self, store: Any) -> None:
        self._kept = store
        self._index = store.file_index()

    def _digest_of(self, path: str | os.PathLike) -> str:
        return self._file_index().digest(os.fspath(path))

    def _file_index(self) -> FileIndex:
        return getattr(self, "_index", None) or FileIndex(None)

    def prepare(self, photo: Photo) -> np.ndarray:
        if self.parity:
            return retrain_pixels(photo, self.side)
        return resize(self.view(photo).image(shorter=self.side * DECODE_MARGIN), self.side, self.side)

    def gather(self, prepared: list[np.ndarray]) -> np.ndarray:
        gathered = np.empty((len(prepared), *prepared[0].shape), np.float32)
        # Photo by photo, while its pixels are in the processor's cache.
        for photo, pixels in zip(gathered, prepared, strict=True):
            photo[...] = pixels
            photo[...] = self.scaled(photo)
        return gathered

    def vectors(self, prepared: list[np.ndarray]) -> np.ndarray:
        return self.vectors_of([self], self.gather(prepared))[0]

    def team(self) -> str:
        """Extractors of one team differ in where they read the network; one run of it serves them all."""
        alike = {key: value for key, value in self.description().items() if key != "layer"}
        return json.dumps(alike, sort_keys=True)

    def vectors_of(self, team: Sequence[Extractor], gathered: np.ndarray) -> list[np.ndarray]:
        return run(self.name, self._function(team), gathered)

    # -- the network ------------------------------------------------------------------------------

    def _width(self) -> int:
        """The width where it is not declared: from an earlier run, or from the network itself."""
        store = getattr(self, "_kept", None)
        stored = store.stored_width(self.name, self.fingerprint()) if store is not None else None
        return stored or self._function([self]).widths[0]

    def _function(self, team: Sequence[Any]) -> Function:
        """The frozen network with the outputs of `team`, loaded at first use."""
        key = tuple(extractor.fingerprint() for extractor in team)
        if getattr(self, "_loaded_for", None) != key:
            names = ", ".join(extractor.name for extractor in team)
            log.info("loading %s", names)
            engine = find_engine(self.engine)
            start = time.perf_counter()
            engine.start()
            imported = time.perf_counter()
            loaded, made = self._load(team)
            if made:
                try_out(team, loaded)
                self._keep(made)
            for member in team:
                # Loaded for its width alone; from now on it is an output of this one.
                member._loaded = member._loaded_for = None
            self._loaded, self._loaded_for = loaded, key
            log.debug("importing %s took %.2f s", self.engine, imported - start)
            log.debug("loading %s took %.2f s", names, time.perf_counter() - imported)
        return self._loaded

    def _load(self, team: Sequence[Any]) -> tuple[Function, dict[str, bytes]]:
        """The network of `team`, and by fingerprint the graphs that were made for it."""
        engine = find_engine(self.engine)
        graphs, made = self._graphs(team, getattr(self, "_kept", None))
        try:
            return engine.load(graphs, self.precision), made
        except UsageError as error:
            if len(made) == len(graphs):
                raise
            # What a newer version of the engine kept, an older one may not know.
            log.info("the kept network of %s is frozen anew: %s", self.name, error)
        graphs, made = self._graphs(team, None)
        return engine.load(graphs, self.precision), made

    def _graphs(self, team: Sequence[Any], store: Any) -> tuple[list[bytes], dict[str, bytes]]:
        """The graphs of `team`, and by fingerprint those that were made now: the others were kept in `store`."""

        prints = [extractor.fingerprint() for extractor in team]
        kept = {one: kept_graph(store, one) if store is not None else None for one in prints}
        missing = [one for one, graph in kept.items() if graph is None]
        made: dict[str, bytes] = {}
        if missing:
            frozen_in = find_engine(self.engine).frozen_in(self.precision)
            graphs = self.freeze([team[prints.index(one)] for one in missing], frozen_in)
            made = dict(zip(missing, graphs, strict=True))
        return [made.get(one) or kept[one] or b"" for one in prints], made

    def _keep(self, made: dict[str, bytes]) -> None:
        """Keep graphs that were made, and tried, for a quick start next time."""

        store = getattr(self, "_kept", None)
        if store is not None:
            for fingerprint, graph in made.items():
                keep_graph(store, fingerprint, graph)


def keep_graph(store: Store, fingerprint: str, data: bytes) -> None:
    """Keep a frozen network beside the store, under its own digest, for a quick start next time."""
    path = store.beside(f"graphs/{fingerprint[:32]}-{sha256(data).hexdigest()}.pb")
    if path is not None:
        try:
            with whole_file(path) as partial:
                partial.write_bytes(data)
            # One that another version of TensorFlow made, which could not be loaded here.
            for other in path.parent.glob(f"{fingerprint[:32]}-*.pb"):
                if other != path:
                    other.unlink(missing_ok=True)
        except OSError as error:
            log.debug("the frozen network was not kept: %s", error)


def kept_graph(store: Store, fingerprint: str) -> bytes | None:
    """A frozen network that `keep_graph` kept, if its bytes are still those that were written."""
    folder = store.beside("graphs/x")
    if folder is None:
        return None
    for path in sorted(folder.parent.glob(f"{fingerprint[:32]}-*.pb")):
        try:
            data = path.read_bytes()
        except OSError:
            continue
        if path.stem.endswith(sha256(data).hexdigest()):
            return data
        log.warning("a damaged frozen network was removed: %s", path)
        path.unlink(missing_ok=True)
    return None
