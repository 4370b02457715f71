"""Frozen TensorFlow graphs (``.pb`` files) as extractors."""

import os
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from featurize.errors import UsageError, WeightsError, message_of
from featurize.files import is_readable
from featurize.networks.graph_file import KnownGraph, candidates, read_graph, recognise
from featurize.networks.network_extractor import LARGEST_SIDE, FrozenExtractor
from featurize.networks.weights import Weights, what_it_is
from featurize.remote import path_here
from featurize.spec import spelled

LARGEST_SCALE = 1e6


class FrozenGraph(FrozenExtractor):
    """A vector read in a frozen TensorFlow graph that you own.

    Google's Inception v3 of 2015 and MobileNets, and what retrain.py made of them, need no further arguments: the
    first two give their pooled vector, a retrained graph what its trained layer takes (1,001 numbers of a MobileNet).

    Parameters
    ----------
    file : str or path
        A ``.pb`` file, a GraphDef with constants in the place of variables.
    input : str, optional
        The tensor where pixels enter, as ``name:number``.
    output : str, optional
        The tensor where the vector is read; averaged over its area if it has one.
    size : int, optional
        Side of the square input, 1 to 1,024 pixels.
    mean, std : float, optional
        Pixels enter as (RGB - mean) / std; std is above 0.
    precision, preprocess, batch_size, store, parity, engine, region
        See `featurize.networks.keras_network.Backbone`. With ``parity="retrain"`` the vectors are those that
        retrain.py wrote into its bottleneck files.

    Raises
    ------
    WeightsError
        If the file is missing or no frozen graph, or the graph does more than compute (it is not run then),
        mixes the photos of a batch, or gives numbers that are not finite; raised at first use, not here.
    UsageError
        If an argument is missing (of an unknown graph) or out of range, or names no tensor; the message lists some.
    """

    family = "FILE.pb"
    not_in_specs = ("file", *FrozenExtractor.not_in_specs)
    _digested: Path | None = None

    def __init__(
        self,
        file: str | os.PathLike,
        input: str | None = None,
        output: str | None = None,
        size: int | None = None,
        mean: float | None = None,
        std: float | None = None,
        precision: str = "float32",
        preprocess: Sequence[str] = (),
        batch_size: int = 32,
        store: Any = None,
        parity: str | None = None,
        engine: str = "tensorflow",
        region: str | None = None,
    ):
        super().__init__(precision, preprocess, batch_size, store, parity, engine, region)
        self.file = file
        self.input = input
        self.output = output
        self.size = size
        self.mean = mean
        self.std = std

    @property
    def usual_name(self) -> str:
        if self.known_as:
            return self.known_as
        stem = Path(self.file).name.removesuffix(".pb")
        return spelled(stem, [self.output, self.region and f"region={self.region}"])

    @property
    def side(self) -> int:
        return int(self.resolved().size or 0)

    @property
    def end(self) -> str:
        return str(self.resolved().output)

    def network_settings(self) -> dict[str, Any]:
        found = self.resolved()
        return {
            "input": found.input,
            "scaling": f"(rgb - {_exactly(found.mean)}) / {_exactly(found.std)}",
            "weights": f"sha256:{self._sha256()}",
        }

    def scaled(self, pixels: np.ndarray) -> np.ndarray:
        found = self.resolved()
        pixels -= np.float32(found.mean)
        # retrain.py multiplied by the inverse, which is not the same to the last bit.
        pixels *= np.float32(1 / float(found.std or 1))
        return pixels

    def weights_record(self) -> dict[str, Any]:
        found = Weights("file", str(self._path()), self._sha256())
        return {**found.record(), "what": self.resolved().what}

    def kept_params(self) -> dict[str, Any]:
        kept = {k: v for k, v in super().kept_params().items() if (k, v) != ("region", None)}
        return {**kept, "file": str(self._path())}

    def libraries(self) -> tuple[str, ...]:
        return tuple(name for name in super().libraries() if name != "keras")

    def graph(self) -> dict[str, Any]:
        """The nodes of the graph by name."""
        return _graph(str(self._path()), self._sha256())

    def resolved(self) -> KnownGraph:
        """The arguments, with what is known about the graph in the place of those that were not given.

        UsageError if something is neither given nor known, not in the graph, or out of range.
        """
        graph = self.graph()
        arguments = ("input", "output", "size", "mean", "std")
        given = {name: value for name in arguments if (value := getattr(self, name)) is not None}
        for name in {"input", "output"} & given.keys():
            given[name] = given[name] if ":" in given[name] else f"{given[name]}:0"
        found = replace(recognise(graph), **given)
        missing = [name for name in arguments if getattr(found, name) is None]
        foreign = [t for t in (found.input, found.output) if t and t.partition(":")[0] not in graph]
        if missing or foreign:
            inputs, outputs = candidates(graph)
            said = f"has no tensor {foreign[0]}" if foreign else f"needs {', '.join(missing)}"
            raise UsageError(
                f"{self.file}: {found.what} that {said}",
                f"inputs: {', '.join(inputs[:4]) or 'none'}; outputs might be {', '.join(outputs[:12]) or 'none'}; "
                "give FILE.pb:TENSOR (the output), --graph-input, --graph-size, --graph-mean and --graph-std; in "
                "Python output=, input=, size=, mean= and std= (pixels enter as (RGB - mean) / std)",
            )
        size, mean, std = found.size, found.mean, found.std
        if not isinstance(size, int) or not 1 <= size <= LARGEST_SIDE:
            raise UsageError(
                f"graph size {size!r}", f"give the side of the square input, 1 to {LARGEST_SIDE:,} pixels"
            )
        if not (abs(mean or 0) <= LARGEST_SCALE and 1 / LARGEST_SCALE <= (std or 0) <= LARGEST_SCALE):
            raise UsageError(
                f"graph mean {mean!r}, std {std!r}",
                "pixels enter as (RGB - mean) / std: give a mean of at most a million, and a std above 0, from a "
                "millionth to a million",
            )
        return found

    def freeze(self, group: Sequence[Any], precision: str) -> bytes:
        from featurize.networks.tensorflow_engine import freeze_graph

        data, entry, ends = self._path().read_bytes(), str(self.resolved().input), [one.end for one in group]
        try:
            return freeze_graph(data, entry, ends, self.side, precision)
        except WeightsError as error:
            raise WeightsError(f"{self.file} is not used: {error.args[0]}", error.hint) from None
        except Exception as error:
            # TensorFlow raises ValueError, TypeError and its own kinds for graphs that do not fit together.
            raise WeightsError(
                f"{self.file} cannot be run: {message_of(error)}",
                "give other tensors (--graph-input, FILE.pb:TENSOR; in Python input=, output=), or another graph",
            ) from error

    def _path(self) -> Path:
        path = path_here(os.path.expanduser(self.file), "frozen graphs are read from")
        if not is_readable(path, WeightsError):
            raise WeightsError(
                f"there is no graph {path}",
                "give the path of a frozen .pb file; for a model, with --weights FILE",
            )
        return path.resolve()

    def _sha256(self) -> str:
        path = self._path()
        if self._digested != path:
            self._digest, self._digested = self._index.digest(path), path
        return self._digest


def _exactly(number: float | None) -> str:
    """In six digits where they are all it has, else in as many as tell it from its neighbours."""
    value = float(number or 0)
    return f"{value:g}" if float(f"{value:g}") == value else repr(value)


@lru_cache(maxsize=4)
def _graph(path: str, sha256: str) -> dict[str, Any]:
    data = Path(path).read_bytes()
    try:
        return read_graph(data)
    except ValueError as error:
        what = what_it_is(data[:512])
        raise WeightsError(
            f"{path} is no frozen graph: {error if what.startswith('something') else what}",
            "give a GraphDef in a .pb file, as freeze_graph or retrain.py writes it",
        ) from None
