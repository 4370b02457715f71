"""What all extractors with a frozen network share: pixels in, a function loaded once, several outputs in one run."""

import json
import os
import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from featurize.errors import UsageError
from featurize.extractors.base import Extractor
from featurize.extractors.trial import run, try_out
from featurize.networks.engines import Function, find_engine
from featurize.networks.retrain_pixels import check_parity, retrain_pixels
from featurize.photos.fileindex import FileIndex
from featurize.photos.photo import Photo, decode_policy, resize
from featurize.terminal import log

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
        from featurize.store.store import kept_graph

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
        from featurize.store.store import keep_graph

        store = getattr(self, "_kept", None)
        if store is not None:
            for fingerprint, graph in made.items():
                keep_graph(store, fingerprint, graph)
