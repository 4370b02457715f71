"""What all extractors with a frozen network share: pixels in, a function loaded once, several outputs in one run."""

import json
import logging
import threading
import time
from collections.abc import Sequence
from hashlib import sha256
from importlib.util import find_spec
from itertools import islice
from typing import Any

import numpy as np

from featurize.errors import UsageError, WeightsError, installing, message_of
from featurize.extractors.base import Extractor, golden_image, relative_drift
from featurize.extractors.batches import NOT_FINITE
from featurize.extractors.regions import REGIONS, seen_in
from featurize.networks.engines import Engine, Function, graphics_cards, output_names
from featurize.networks.graph_file import read_graph, remarks_on_weights
from featurize.networks.int8 import RECIPE, check_nncf, quantise
from featurize.networks.kept_networks import (
    graph_key,
    load_frozen_graph,
    load_quantised,
    load_remarks,
    save_frozen_graph,
    save_quantised,
    save_remarks,
)
from featurize.networks.retrain_pixels import retrain_pixels
from featurize.photos.fileindex import FileIndex
from featurize.photos.photo import Photo, decode_policy, resize
from featurize.store.store import Store
from featurize.terminal import log

# Relative, by precision: a library adds up batches of another size in another order, which costs up to 1e-5 in float32.
# A network that looks at the whole batch (batch norm as in training) is far off.
TOLERANCE = {"float32": 1e-4, "bfloat16": 1e-2, "int8": 1e-2}
FAR = 0.25  # of its length: so far a vector in int8 may be from that in float32 before it is worth a warning


def run(name: str, function: Function, pixels: np.ndarray) -> list[np.ndarray]:
    """What `function` makes of `pixels`; WeightsError if the network fails. `name` is of the features."""
    try:
        return function(pixels)
    except Exception as error:
        # TensorFlow and OpenVINO have kinds of their own for each way in which a network can fail.
        raise WeightsError(
            f"{name} cannot be run: {message_of(error)}",
            "the network must take any number of photos at once, whatever they show; read another tensor of it, or "
            "give another one",
        ) from error


def check_frozen_network(group: Sequence[Any], function: Function) -> None:
    """Refuse a network that cannot be run, gives no finite numbers, or whose vectors depend on the batch.

    The synthetic image is run alone, and between two others; the outputs are those of `group`, in its order.
    """
    first = group[0]
    owners = [extractor for extractor in group for _ in range(extractor.n_ends)]
    golden = golden_image()
    photos = [Photo.from_array(rgb) for rgb in (255 - golden, golden, golden // 2)]
    prepared = [first.prepare(photo) for photo in photos]
    alone = run(first.name, function, first.stack(prepared[1:2]))
    beside = run(first.name, function, first.stack(prepared))
    for extractor, single, several in zip(owners, alone, beside, strict=True):
        for matrix, count in ((single, 1), (several, len(photos))):
            if len(matrix) != count:
                raise WeightsError(
                    f"{extractor.name} gives {len(matrix)} vectors for a batch of {count}",
                    "read a tensor that has one row per photo",
                )
        if not (np.isfinite(single).all() and np.isfinite(several[1]).all()):
            raise WeightsError(
                f"{extractor.name} gives {NOT_FINITE} for the test image",
                "the weights are damaged, or pixels enter the network with another mean and std than it was made for",
            )
        drift = relative_drift(several[1], single[0])
        if drift > TOLERANCE[extractor.precision]:
            raise WeightsError(
                f"{extractor.name} mixes the photos of a batch: the vector of the test image changes by {drift:.2g} of "
                "its length when others are beside it",
                "a vector must depend on its photo alone: freeze the network for inference (batch norm with its stored "
                "mean and variance), or read an earlier tensor",
            )


# A further engine is one file and one line here.
ENGINES = {
    "tensorflow": Engine("tensorflow", "featurize.networks.tensorflow_engine"),
    "openvino": Engine(
        "openvino",
        "featurize.networks.openvino_engine",
        lowers=True,
        precisions=("float32", "bfloat16", "int8"),
    ),
    "onnxruntime": Engine(
        "onnxruntime", "featurize.networks.onnxruntime_engine", precisions=("float32",), extra="onnx"
    ),
}


def find_engine(name: str) -> Engine:
    """The engine of this name; UsageError if there is none, or its library is not installed.

    >>> find_engine("tensorflow").described
    'tensorflow, frozen'
    """
    if name not in ENGINES:
        raise UsageError(f"there is no engine {name!r}", f"choose {' or '.join(ENGINES)}")
    if find_spec(name) is None:
        hint = f"{installing(ENGINES[name].extra)}, or use engine tensorflow"
        raise UsageError(f"the engine {name} is not installed", hint)
    return ENGINES[name]


# A JPEG may be scaled while decoding as long as this many pixels are left per pixel of the input.
DECODE_MARGIN = 2
# Published networks take up to 800 pixels; a batch of 32 photos of this side is 400 MB of numbers, before the first
# layer.
LARGEST_SIDE = 1024
ON_A_CARD = 128  # photos a batch at least: a card is idle with fewer; more would be lost by a kill
GREY = 128  # what a region leaves out
_loading = threading.RLock()


class FrozenExtractor(Extractor):
    """An extractor whose vectors are read in a frozen network; a subclass defines what is not implemented here."""

    version = 1
    engines: tuple[str, ...] = ("tensorflow", "openvino")  # that can run it
    # Set by `attach`, and at first use.
    _kept: Store | None = None
    _index = FileIndex(None)
    _loaded: Function | None = None
    _loaded_for: str | None = None
    # What the network in int8 was made of, itself and its digest; and the digest that a table or a model wants.
    _quantised: tuple[str, bytes, str] | None = None
    _wanted_quantised: str | None = None
    _widths: tuple[str, list[int]] | None = None  # by the fingerprint that they belong to
    _remarks: tuple[str, list[str]] | None = None  # likewise
    recorded_blocks: list[int] | None = (
        None  # as a table or a model says; whether it is right, a vector shows
    )

    def __init__(
        self,
        precision: str,
        preprocess: Sequence,
        batch_size: int,
        store: Any,
        parity: str | None,
        engine: str,
        region: str | None = None,
    ):
        super().__init__(preprocess, store)
        self.precision = precision
        self.batch_size = batch_size
        self.parity = parity
        self.engine = engine
        self.region = region

    @property
    def side(self) -> int:
        """The side of the square input, in pixels."""
        raise NotImplementedError

    @property
    def end(self) -> str:
        """Where in the network the vector is read."""
        raise NotImplementedError

    @property
    def n_ends(self) -> int:
        """In how many places it is read: so many outputs of the network make one vector, side by side."""
        return 1

    @property
    def pooling(self) -> str:
        """How the area of each end becomes one number."""
        return "mean over the area"

    def network_settings(self) -> dict[str, Any]:
        """What can change a number, but for the pixels that go in, the precision and `end`, as plain JSON values."""
        raise NotImplementedError

    def scaled(self, pixels: np.ndarray) -> np.ndarray:
        """float32 pixels of 0 to 255 as the network wants them; may change `pixels`."""
        raise NotImplementedError

    def freeze(self, group: Sequence[Any], precision: str) -> bytes:
        """One optimised GraphDef with the outputs of `group`, whose extractors differ in `end` and `pooling` alone."""
        raise NotImplementedError

    @property
    def value_names(self) -> Sequence[str]:
        name = self.name
        return [f"{name}_{i:04d}" for i in range(self.width)]

    def settings(self) -> dict[str, Any]:
        self._check_arguments()
        decode: Any = decode_policy(shorter=self.side * DECODE_MARGIN)
        resized = "bilinear with antialiasing"
        if self.parity:
            decode = "all pixels, as TensorFlow's decode_jpeg; EXIF orientation ignored"
            resized = "bilinear as in TensorFlow 1"
        covered = {"region": f"{REGIONS[self.region]}, with grey ({GREY})"} if self.region else {}
        return {
            "layer": self.end,
            "decode": decode,
            "resize": f"{self.side}x{self.side}, {resized}",
            "pooling": self.pooling,
            "engine": find_engine(self.engine).described,
            "precision": self.precision,
            **self.network_settings(),
            **covered,
            **({"calibration": RECIPE, "quantised": self.quantised()[1]} if self.precision == "int8" else {}),
        }

    def quantised(self) -> tuple[bytes, str]:
        """The network in int8 and its digest: the one that the store keeps, or one that is made now.

        Of several that are kept, that of the table or model whose extractor this is.
        """
        made_of = {"layer": self.end, "pooling": self.pooling, "side": self.side, "recipe": RECIPE}
        key = sha256(json.dumps({**made_of, **self.network_settings()}, sort_keys=True).encode()).hexdigest()
        if self._quantised is None or self._quantised[0] != key:
            kept = None
            for digest in dict.fromkeys([self._wanted_quantised, None]):
                kept = kept or (load_quantised(self._kept, key, digest) if self._kept else None)
            if kept is not None:
                self._quantised = key, *kept
            else:
                check_nncf(self.name)  # before seconds are spent on the network in float32
                graph = self.freeze([self], "float32")
                self._quantised = key, *self._quantise(key, graph)
                _note_remarks([self], graph, level=logging.DEBUG)  # said when it is loaded
        return self._quantised[1:]

    def _quantise(self, key: str, graph: bytes) -> tuple[bytes, str]:
        """The network in int8, made of the one in float32, tried on the synthetic image and kept."""
        data, digest = quantise(graph, self.scaled, self.side, self.name)
        engine, pixels = (
            find_engine(self.engine),
            self.stack([self.prepare(Photo.from_array(golden_image()))]),
        )
        function = engine.load(data, self.n_ends, "int8")
        check_frozen_network([self], function)
        exact, rounded = (
            np.hstack(run(self.name, one, pixels))[0]
            for one in (engine.load(graph, self.n_ends, "float32"), function)
        )
        drift = relative_drift(rounded, exact)
        log.log(
            logging.WARNING if drift > FAR else logging.INFO,
            "%s in int8: the vector of the test image moves by %.1f %% of its length",
            self.name, 100 * drift,
        )  # fmt: skip
        if self._kept is not None:
            save_quantised(self._kept, key, data, digest)
        return data, digest

    def _check_arguments(self) -> None:
        if self.precision not in TOLERANCE:
            raise UsageError(f"precision {self.precision!r}", f"choose {' or '.join(TOLERANCE)}")
        if self.engine in ENGINES and self.engine not in self.engines:
            hint = f"choose {' or '.join(self.engines)}"
            raise UsageError(f"the engine {self.engine} does not run {self.family}", hint)
        if self.precision not in find_engine(self.engine).precisions:
            able = [name for name in self.engines if self.precision in ENGINES[name].precisions]
            raise UsageError(
                f"the engine {self.engine} does not compute in {self.precision}",
                f"use engine {' or '.join(able)}",
            )
        if self.precision == "bfloat16":
            from featurize.networks.tensorflow_engine import has_bfloat16

            if not has_bfloat16():
                raise UsageError(
                    "this processor does not compute in bfloat16 (it has neither avx512_bf16 nor amx_bf16)",
                    "use precision float32",
                )
        if self.parity not in (None, "retrain"):
            raise UsageError(
                f"parity {self.parity!r} is not known",
                "give 'retrain' for what retrain.py did, or leave it out",
            )
        if self.parity and self.preprocess:
            raise UsageError(
                "parity='retrain' and preprocess were both given",
                "retrain.py had no such steps: give one of them",
            )
        seen_in(self.region, 3, 3)

    def libraries(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(["numpy", "pillow", "tensorflow", "keras", self.engine]))

    def attach(self, store: Any) -> None:
        self._kept = store
        self._index = store.file_index()

    def prepare(self, photo: Photo) -> np.ndarray:
        if self.parity:
            pixels = retrain_pixels(self.view(photo), self.side)
        else:
            pixels = resize(self.view(photo).image(shorter=self.side * DECODE_MARGIN), self.side, self.side)
        seen = seen_in(self.region, self.side, self.side)
        return pixels if seen is None else np.where(seen[:, :, None], pixels, pixels.dtype.type(GREY))

    def stack(self, prepared: list[np.ndarray]) -> np.ndarray:
        stacked = np.empty((len(prepared), *prepared[0].shape), np.float32)
        # Photo by photo, while its pixels are in the processor's cache.
        for photo, pixels in zip(stacked, prepared, strict=True):
            photo[...] = pixels
            photo[...] = self.scaled(photo)
        return stacked

    def vectors(self, prepared: list[np.ndarray]) -> np.ndarray:
        return self.run_together([self], self.stack(prepared))[0]

    @property
    def device(self) -> str:
        """What TensorFlow runs the network on, where that is no processor."""
        return ", ".join(graphics_cards()) if self.engine == "tensorflow" else ""

    @property
    def reentrant(self) -> bool:  # type: ignore[override]
        """Not TensorFlow's: it shares all processors among the images of one batch anyway."""
        return self.engine != "tensorflow"

    @property
    def at_once(self) -> int:
        return max(self.batch_size, ON_A_CARD) if self.device else self.batch_size

    def run_key(self) -> str:
        """Extractors with the same key differ in where they read the network; one run of it serves them all."""
        apart = ("layer", "pooling")
        alike = {key: value for key, value in self.description().items() if key not in apart}
        return json.dumps(alike, sort_keys=True)

    def run_together(self, group: Sequence[Extractor], stacked: np.ndarray) -> list[np.ndarray]:
        outputs = run(self.name, self._function(group), stacked)
        return [ends[0] if len(ends) == 1 else np.hstack(ends) for ends in _by_extractor(group, outputs)]

    @property
    def width(self) -> int:
        return sum(self.blocks)

    @property
    def blocks(self) -> list[int]:
        """From an earlier run, or from the network itself."""
        # Asked for with every batch, and the store may be far away.
        key = self.fingerprint()
        if self._widths is None or self._widths[0] != key:
            # A store knows the sum alone.
            asked = self._kept if self.n_ends == 1 else None
            stored = asked.stored_width(self.stored_as, key) if asked is not None else None
            known = [stored] if stored else self.recorded_blocks
            self._widths = key, known or list(self._function([self]).widths)
        return self._widths[1]

    def _function(self, group: Sequence[Any]) -> Function:
        """The frozen network with the outputs of `group`, loaded at first use."""
        key = graph_key(group)
        # A second batch waits for the network that the first one loads.
        with _loading:
            if self._loaded is not None and self._loaded_for == key:
                return self._loaded
            names = ", ".join(extractor.name for extractor in group)
            log.info("loading %s", names)
            start = time.perf_counter()
            loaded = self._load(group, key)
            for extractor, widths in zip(group, _by_extractor(group, loaded.widths), strict=True):
                # Loaded for its width alone; from now on it is an output of this one.
                extractor._loaded = extractor._loaded_for = None
                extractor._widths = extractor.fingerprint(), widths
            self._loaded, self._loaded_for = loaded, key
            if self.device:
                log.info("%s: runs on %s", names, self.device)
            log.debug("loading %s took %.2f s", names, time.perf_counter() - start)
        return loaded

    def _load(self, group: Sequence[Any], key: str) -> Function:
        """The network of `group`: the one that the store keeps, or one that is frozen, tried and kept now."""
        engine, store = find_engine(self.engine), self._kept
        n_outputs = sum(extractor.n_ends for extractor in group)
        if self.precision == "int8":  # a group of one: the digest of another network makes another run key
            function = engine.load(self.quantised()[0], n_outputs, "int8")
            for remark in self.remarks():
                log.warning("%s: %s", self.name, remark)
            return function
        keys = [key] if self.precision != "float32" else [key, *_keys_of_other_engines(group)]
        kept = next(filter(None, (load_frozen_graph(store, one) for one in keys)), None) if store else None
        if kept is not None:
            try:
                function = engine.load(kept, n_outputs, self.precision)
                # Looking through the weights takes a second, and was done when the network was kept.
                if not _say_stored_remarks(group):
                    _note_remarks(group, kept)
                return function
            except UsageError as error:
                # What a newer version of the engine kept, an older one may not know.
                log.info("the kept network of %s is frozen anew: %s", self.name, error)
        graph = self.freeze(group, "float32" if engine.lowers else self.precision)
        function = engine.load(graph, n_outputs, self.precision)
        check_frozen_network(group, function)
        if store is not None:
            save_frozen_graph(store, key, graph)
        _note_remarks(group, graph)
        return function

    def remarks(self) -> list[str]:
        """What was seen when the network was loaded, now or by an earlier program that kept it in the store."""
        key = self.fingerprint()
        if self._remarks is None or self._remarks[0] != key:
            if (stored := _stored_remarks(self)) is not None:
                self._remarks = key, stored
            else:
                graph = load_frozen_graph(self._kept, graph_key([self])) if self._kept else None
                if graph is None:
                    return []
                _note_remarks([self], graph, level=logging.INFO)  # it was said before
        return self._remarks[1] if self._remarks else []

    def frozen_graph(self) -> bytes:
        """The network alone, frozen in float32: the one that the store keeps, or one that is frozen now."""
        as_kept = self.precision == "float32" or find_engine(self.engine).lowers
        kept = load_frozen_graph(self._kept, graph_key([self])) if as_kept and self._kept else None
        return kept or self.freeze([self], "float32")


def _by_extractor(group: Sequence[Any], outputs: Sequence[Any]) -> list[list[Any]]:
    """What belongs to each output of a network's run, in a list for each extractor of the group."""
    rest = iter(outputs)
    return [list(islice(rest, extractor.n_ends)) for extractor in group]


def _keys_of_other_engines(group: Sequence[Any]) -> list[str]:
    """What the same network in float32 is kept under for other engines, which take the same graph."""
    others = [engine for name, engine in ENGINES.items() if name != group[0].engine]
    return [graph_key(group, engine=engine.described) for engine in others]


def _note_remarks(group: Sequence[Any], graph: bytes, level: int = logging.WARNING) -> None:
    """Say, and keep in the store, what is wrong with the weights behind each extractor of `group`."""
    try:
        nodes = read_graph(graph)
    except ValueError:  # a network of another kind, as ONNX has them
        nodes = {}
    outputs = _by_extractor(group, output_names(sum(extractor.n_ends for extractor in group)))
    for extractor, names in zip(group, outputs, strict=True):
        key, remarks = extractor.fingerprint(), remarks_on_weights(nodes, names, extractor.family)
        for remark in remarks:
            log.log(level, "%s: %s", extractor.name, remark)
        extractor._remarks = key, remarks
        if extractor._kept is not None:
            save_remarks(extractor._kept, key, remarks)


def _stored_remarks(extractor: Any) -> list[str] | None:
    """What an earlier program kept of them in the store; None where it kept nothing that can be read."""
    return load_remarks(extractor._kept, extractor.fingerprint()) if extractor._kept is not None else None


def _say_stored_remarks(group: Sequence[Any]) -> bool:
    """Say what an earlier program kept of them; False where that is not known of all."""
    stored = [_stored_remarks(extractor) for extractor in group]
    if None in stored:
        return False
    for extractor, remarks in zip(group, stored, strict=True):
        for remark in remarks or ():
            log.warning("%s: %s", extractor.name, remark)
    return True
