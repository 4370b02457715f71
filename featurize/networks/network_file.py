"""Networks in files of your own: which file, with which digest, and in what size and scaling pixels enter."""

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from featurize.errors import UsageError, WeightsError, message_of
from featurize.files import is_readable
from featurize.networks.catalogue import SCALINGS, scale_pixels
from featurize.networks.network_extractor import LARGEST_SIDE, FrozenExtractor
from featurize.networks.weights import Weights
from featurize.remote import path_here
from featurize.spec import spelled

LARGEST_SIDECAR = 1 << 20  # bytes
LARGEST_SCALE = 1e6
# How `classify export` says in its JSON which pixels a file takes.
PIXELS = {"RGB, 0 to 255": "none", "(RGB - 127.5) / 127.5": "tf"}
HOW = (
    "name size, scaling and output in the spec, as in {name}:OUTPUT,size=224,mean=0.485/0.456/0.406,"
    "std=0.229/0.224/0.225 (pixels enter as (RGB / 255 - mean) / std), {name}:scaling=tf (-1 to 1) or "
    "{name}:scaling=none (0 to 255, for a network that scales them itself), or in {name}.json beside it"
)


class NetworkFile(FrozenExtractor):
    """A network in a file that you own; a subclass reads the format."""

    not_in_specs = ("file", *FrozenExtractor.not_in_specs)
    ending: str
    _digested: tuple[Any, str] | None = None
    _sidecar: tuple[Any, dict[str, Any]] | None = None
    poolings: ClassVar[Mapping[str, str]]

    def __init__(
        self,
        file: str | os.PathLike,
        output: str | None = None,
        size: int | None = None,
        mean: float | Sequence[float] | None = None,
        std: float | Sequence[float] | None = None,
        scaling: str | None = None,
        pool: str | None = None,
        precision: str = "float32",
        preprocess: Sequence[str] = (),
        batch_size: int = 32,
        store: Any = None,
        engine: str = "tensorflow",
        region: str | None = None,
    ):
        super().__init__(precision, preprocess, batch_size, store, None, engine, region)
        self.file = file
        self.output = output
        self.size = size
        self.mean = mean
        self.std = std
        self.scaling = scaling
        self.pool = pool

    # -- what a subclass says of its file ---

    def declared_side(self) -> int | None:
        """The side of the input, where the file fixes it."""
        raise NotImplementedError

    def digests(self) -> list[str]:
        """SHA-256 of the file, and of others that belong to it."""
        return [self._sha256()]

    # -- what they share ---

    @property
    def usual_name(self) -> str:
        given = {"pool": self.pool, "size": self.size, "region": self.region}
        items = [self.output, *(f"{name}={value}" for name, value in given.items() if value)]
        return spelled(Path(self.file).name.removesuffix(self.ending), items)

    def path(self) -> Path:
        """Where the file is; WeightsError if it is not there."""
        path = path_here(os.path.expanduser(self.file), "networks are read from")
        if not is_readable(path, WeightsError):
            raise WeightsError(
                f"there is no network {path}",
                f"give the path of a {self.ending} file; for a model, with --weights FILE",
            )
        return path.resolve()

    def _sha256(self) -> str:
        # Asked for with every photo, like what stands beside the file.
        if self._digested is None or self._digested[0] != self.file:
            self._digested = self.file, self._index.digest(self.path())
        return self._digested[1]

    def beside(self, key: str) -> Any:
        """What the JSON beside the file says of a setting, None for nothing."""
        if self._sidecar is None or self._sidecar[0] != self.file:
            self._sidecar = self.file, self._read_sidecar()
        found = self._sidecar[1]
        if key == "scaling" and "export" in found:  # our exports scale pixels themselves
            entering = found.get("input")
            pixels = entering.get("pixels") if isinstance(entering, dict) else None
            return PIXELS.get(pixels) if isinstance(pixels, str) else None
        return found.get(key)

    def _read_sidecar(self) -> dict[str, Any]:
        path = self.path()
        sidecar = path.with_name(f"{path.name}.json")
        hint = "correct or remove it; what it may say is size, output, mean, std, scaling and pool"
        if sidecar.exists() and not sidecar.is_file():  # reading a pipe would wait for ever
            raise UsageError(f"{sidecar} is no file", hint)
        try:
            with open(sidecar, "rb") as stream:
                found = json.loads(stream.read(LARGEST_SIDECAR))
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, RecursionError) as error:
            raise UsageError(f"{sidecar} cannot be read: {message_of(error, 120)}", hint) from error
        if not isinstance(found, dict):
            raise UsageError(f"{sidecar} holds no JSON object", hint)
        return found

    def setting(self, key: str) -> Any:
        """An argument, else what stands beside the file."""
        given = getattr(self, key)
        return self.beside(key) if given is None else given

    @property
    def side(self) -> int:
        size = self.setting("size") or self.declared_side()
        if size is None:
            raise self._missing("its input may have any size, and none is given")
        if isinstance(size, bool) or not isinstance(size, int) or not 1 <= size <= LARGEST_SIDE:
            raise UsageError(
                f"size {size!r}", f"give the side of the square input, 1 to {LARGEST_SIDE:,} pixels"
            )
        fixed = self.declared_side()
        if fixed not in (None, size):
            raise UsageError(f"{self.file} takes {fixed} pixels, and size is {size}", "leave size out")
        return size

    def _missing(self, what: str) -> UsageError:
        return UsageError(f"{self.file}: {what}", HOW.format(name=Path(self.file).name))

    def scales(self) -> tuple[str, list[float], list[float]]:
        """The name of a scaling, or "" and the mean and std of each colour."""
        scaling, mean, std = (self.setting(key) for key in ("scaling", "mean", "std"))
        if self.mean is not None or self.std is not None:  # which are nearer than what stands beside the file
            scaling = self.scaling
        elif self.scaling is None and scaling is not None and (mean, std) != (None, None):
            raise UsageError(
                f"{Path(self.file).name}.json gives scaling together with mean or std",
                "leave one of them out",
            )
        if scaling is not None and (self.mean is not None or self.std is not None):
            raise UsageError("scaling was given together with mean or std", "give one of them")
        if scaling is not None:
            if not isinstance(scaling, str) or scaling not in SCALINGS:
                raise UsageError(
                    f"scaling {scaling!r} is not known", f"choose {', '.join(SCALINGS)}, or give mean and std"
                )
            return scaling, [], []
        if mean is None or std is None:
            raise self._missing("how pixels are scaled is not known")
        return "", _three(mean, "mean", -LARGEST_SCALE), _three(std, "std", 1 / LARGEST_SCALE)

    def scaled(self, pixels: np.ndarray) -> np.ndarray:
        scaling, mean, std = self.scales()
        if scaling:
            return scale_pixels(pixels, scaling)
        pixels /= np.float32(255)
        pixels -= np.array(mean, np.float32)
        pixels /= np.array(std, np.float32)
        return pixels

    def network_settings(self) -> dict[str, Any]:
        scaling, mean, std = self.scales()
        text = SCALINGS[scaling] if scaling else f"(rgb / 255 - {mean}) / {std}"
        return {"scaling": text, "weights": "+".join(f"sha256:{digest}" for digest in self.digests())}

    @property
    def pooling(self) -> str:
        pool = self.setting("pool") or "avg"
        if not isinstance(pool, str) or pool not in self.poolings:
            raise UsageError(f"pool {pool!r} is not known", f"choose {' or '.join(self.poolings)}")
        return self.poolings[pool]

    def weights_record(self) -> dict[str, Any]:
        return Weights("file", str(self.path()), self._sha256()).record()

    def kept_params(self) -> dict[str, Any]:
        return {**super().kept_params(), "file": str(self.path()), **self.resolved_settings()}

    def resolved_settings(self) -> dict[str, Any]:
        """What stands beside the file, so that a table and a model need no more than the file."""
        scaling, mean, std = self.scales()
        scales = {"scaling": scaling, "mean": None, "std": None} if scaling else {"mean": mean, "std": std}
        return {"output": self.end, "size": self.side, "pool": self.setting("pool"), **scales}

    def libraries(self) -> tuple[str, ...]:
        return ("numpy", "pillow", self.engine)


def _three(value: Any, name: str, lowest: float) -> list[float]:
    values = list(value) if isinstance(value, Sequence) and not isinstance(value, str) else [value] * 3
    plain = all(isinstance(one, int | float) and not isinstance(one, bool) for one in values)
    if len(values) != 3 or not plain or not all(lowest <= one <= LARGEST_SCALE for one in values):
        raise UsageError(
            f"{name} is {value!r}",
            "give one number, or one for red, green and blue as in 0.485/0.456/0.406; a std is above 0",
        )
    return [float(one) for one in values]
