"""The contract of every extractor: a scikit-learn transformer with a name, a width and a fingerprint."""

import copy
import hashlib
import inspect
import json
import os
import sys
from collections.abc import Sequence
from typing import Any, Self

import numpy as np

from featurize.errors import SourceError, UsageError
from featurize.photos.decode import ImageRejected, read_image
from featurize.photos.photo import Photo, resize
from featurize.photos.preprocess import apply_steps, describe_steps


def golden_image() -> np.ndarray:
    """The small synthetic picture whose vector proves that an extractor still computes the same.

    Smooth ramps, a disc and a fine texture in colour, from integer arithmetic alone, so that it is the same
    on every machine. uint8, shape (96, 128, 3).
    """
    y, x = np.mgrid[0:96, 0:128]
    red, green = x * 2, y * 255 // 95
    blue = (x * 7 + y * 13) % 64 * 4
    disc = (x - 64) ** 2 + (y - 48) ** 2 < 900
    rgb = np.stack([red, green, blue], axis=2)
    rgb[disc] = 255 - rgb[disc]
    return rgb.astype(np.uint8)


def relative_drift(now: np.ndarray, stored: np.ndarray) -> float:
    """‖now − stored‖ / ‖stored‖; 0 for equal vectors, also of zeros and NaN.

    >>> relative_drift(np.array([3.0, 5.0]), np.array([3.0, 4.0]))
    0.2
    """
    if np.array_equal(now, stored, equal_nan=True):
        return 0.0
    length = float(np.linalg.norm(stored.astype(np.float64)))
    distance = float(np.linalg.norm(now.astype(np.float64) - stored))
    drift = distance / length if length else np.inf
    return drift if drift == drift else np.inf


LONGER_SIDE = 512


def small_image(photo: Photo) -> np.ndarray:
    """The photo, uint8 of shape (height, width, 3), its longer side at most 512 pixels."""
    return resize(photo.rgb(longer=LONGER_SIDE), *_small_size(photo))


def _small_size(photo: Photo) -> tuple[int, int]:
    factor = min(1.0, LONGER_SIDE / max(photo.width, photo.height))
    return max(1, round(photo.width * factor)), max(1, round(photo.height * factor))


# -- Numbers that are not finite are never a vector ------------------------------------------------------

NOT_FINITE = "numbers that are not finite (NaN or infinity)"


def finite_rows(vectors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Vectors as float32 of shape (n, width), and which of them hold finite numbers alone, as booleans.

    >>> finite_rows(np.array([[1.0, 2.0], [1.0, 1e300]]))[1]
    array([ True, False])
    """
    with np.errstate(over="ignore"):
        matrix = np.asarray(vectors, dtype=np.float32)
    return matrix, np.all(np.isfinite(matrix), axis=1)


# -- scikit-learn's protocol for what has parameters and gives named numbers -----------------------------

# It is followed without inheriting from scikit-learn's classes, because importing them takes a second that
# ``featurize extract`` on unchanged photos does not have.


class Transformer:
    """Parameters, and the names and the form of the output.

    A subclass stores the arguments of ``__init__`` under their names.
    """

    @property
    def value_names(self) -> Sequence[str]:
        """A name for each number of a vector."""
        raise NotImplementedError

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """The arguments of ``__init__`` and their values."""
        return {name: getattr(self, name) for name in _arguments(type(self))}

    def set_params(self, **params) -> Self:
        """Change arguments of ``__init__``.

        Raises
        ------
        UsageError
            For a name that ``__init__`` does not have; the message lists those it has.
        """
        known = _arguments(type(self))
        for name, value in params.items():
            if name not in known:
                raise UsageError(
                    f"{type(self).__name__} has no parameter {name}", f"it has {', '.join(known)}"
                )
            setattr(self, name, value)
        return self

    def get_feature_names_out(self, input_features=None) -> np.ndarray:
        """A name for each number of a vector, as an array of objects."""
        return np.array(list(self.value_names), dtype=object)

    def set_output(self, *, transform: str | None = None) -> Self:
        """Choose what `transform` returns: ``"default"`` (array), ``"pandas"`` or ``"polars"``."""
        if transform not in (None, "default", "pandas", "polars"):
            raise UsageError(f"transform={transform!r} is no output", "choose default, pandas or polars")
        if transform is not None:
            self._sklearn_output_config = {"transform": transform}
        return self

    def _output(self, matrix: np.ndarray):
        wanted = getattr(self, "_sklearn_output_config", {}).get("transform")
        if wanted is None and "sklearn" in sys.modules:
            wanted = sys.modules["sklearn"].get_config()["transform_output"]
        if wanted == "pandas":
            import pandas as pd

            return pd.DataFrame(matrix, columns=self.get_feature_names_out())
        if wanted == "polars":
            import polars as pl

            return pl.DataFrame(matrix, schema=list(self.value_names))
        return matrix

    def __sklearn_is_fitted__(self) -> bool:
        return True

    def __sklearn_tags__(self):
        from sklearn.utils import InputTags, Tags, TargetTags, TransformerTags

        return Tags(
            estimator_type=None,
            target_tags=TargetTags(required=False),
            transformer_tags=TransformerTags(preserves_dtype=[]),
            input_tags=InputTags(two_d_array=False, string=True),
            requires_fit=False,
            no_validation=True,
        )

    def __repr__(self) -> str:
        defaults = _arguments(type(self))
        given = {k: v for k, v in self.get_params().items() if v is not defaults[k] and v != defaults[k]}
        return f"{type(self).__name__}({', '.join(f'{k}={v!r}' for k, v in given.items())})"

    def __getstate__(self) -> dict[str, Any]:
        # Only the arguments travel to worker processes, never a network.
        kept = copy.copy(self.get_params())
        if hasattr(self, "_sklearn_output_config"):
            kept["_sklearn_output_config"] = self._sklearn_output_config
        return kept


def _arguments(cls: type) -> dict[str, Any]:
    """The arguments of a class and their defaults."""
    parameters = list(inspect.signature(cls.__init__).parameters.values())[1:]  # type: ignore[misc]
    return {p.name: p.default for p in parameters}


GOLDEN_SHA256 = hashlib.sha256(golden_image().tobytes()).hexdigest()
LEAVE_OUT = "leave it out, or use featurize.extract, which sets such images aside"


class Extractor(Transformer):
    """Turns images into vectors, each of which depends on its image and the extractor's settings alone.

    A new family is a subclass in a file of its own and one line in `featurize.registry`; in another package it
    is an entry point of the group ``featurize.registry``, named as the family. It stores its arguments in
    ``__init__`` and defines:

    ``family``, ``version``
        Its name in specs, and a number to raise whenever its vectors change.
    ``value_names``
        A name for each number of a vector; their count is the width.
    ``settings()``
        A dict of everything that can change a number, for the fingerprint.
    ``prepare(photo)``
        The work on one photo, on the pixels of ``self.view(photo)``; called in several threads at once.
    ``vectors(prepared)``
        A list of what `prepare` returned, as float32 of shape (n_images, width).

    Examples
    --------
    >>> class MeanColor(Extractor):
    ...     family, version = "mean-color", 1
    ...     value_names = ("red", "green", "blue")
    ...     def __init__(self, preprocess=(), store=None):
    ...         self.preprocess = preprocess
    ...         self.store = store
    ...     def settings(self):
    ...         return {}
    ...     def prepare(self, photo):
    ...         return self.view(photo).rgb().mean(axis=(0, 1), dtype=np.float32)
    ...     def vectors(self, prepared):
    ...         return np.stack(prepared)
    >>> MeanColor().transform([np.full((4, 4, 3), 7, dtype=np.uint8)])
    array([[7., 7., 7.]], dtype=float32)
    """

    family: str
    version: int | str | None
    preprocess: Sequence[str] = ()
    batch_size: int = 32
    store: Any = None

    # -- what a family defines ------------------------------------------------------------------

    @property
    def name(self) -> str:
        """The features spec of this extractor; the name of its column in a table."""
        return self.family

    def settings(self) -> dict[str, Any]:
        """Everything but family and version that can change a number, as plain JSON values."""
        raise NotImplementedError

    def prepare(self, photo: Photo) -> np.ndarray:
        """The part of the work that concerns one photo; must be safe to run in several threads at once."""
        raise NotImplementedError

    def vectors(self, prepared: list[np.ndarray]) -> np.ndarray:
        """What `prepare` returned for some images, as float32 of shape (n_images, width)."""
        raise NotImplementedError

    def team(self) -> str | None:
        """Equal for extractors whose vectors come out of one run, on the same pixels; None for one on its own."""
        return None

    def gather(self, prepared: list[np.ndarray]) -> Any:
        """What `vectors_of` takes: `prepared` itself, or what can be made of it while another batch is running."""
        return prepared

    def vectors_of(self, team: Sequence["Extractor"], gathered: Any) -> list[np.ndarray]:
        """What `vectors` of each extractor of a team would return; `self` is the first of them."""
        return [self.vectors(gathered)]

    def view(self, photo: Photo) -> Photo:
        """The photo after the steps in ``preprocess``; `photo` itself where there are none.

        Steps work on all pixels of the photo, never on a smaller decoding. Extractors with the same steps
        share the result.
        """
        if not self.preprocess:
            return photo
        steps = tuple(self.preprocess)
        return photo.view(steps, lambda rgb: apply_steps(rgb, steps))

    def weights_record(self) -> dict[str, Any] | None:
        """Where the network's weights come from; None for an extractor without weights."""
        return None

    def libraries(self) -> tuple[str, ...]:
        """Distributions whose versions are recorded beside the vectors."""
        return ("numpy", "pillow")

    def attach(self, store: Any) -> None:
        """Use `store` for what can be kept beside the vectors, such as a frozen network."""

    # -- identity -------------------------------------------------------------------------------

    @property
    def width(self) -> int:
        """How many numbers a vector has."""
        return len(self.value_names)

    def description(self) -> dict[str, Any]:
        """Everything that can change a number, as plain JSON values."""
        steps = describe_steps(self.preprocess)
        described = {"family": self.family, "version": self.version, **self.settings()}
        return {**described, "preprocess": steps} if steps else described

    def fingerprint(self) -> str:
        """SHA-256 of the canonical JSON of `description`: equal for vectors that may be mixed."""
        text = json.dumps(self.description(), sort_keys=True, separators=(",", ":"), ensure_ascii=True)
        return hashlib.sha256(text.encode()).hexdigest()

    def record(self, golden: np.ndarray) -> dict[str, Any]:
        """What a table keeps about this extractor; `golden` is its vector of `golden_image`."""
        from importlib.metadata import version

        return {
            "spec": self.name,
            "family": self.family,
            "params": json.loads(json.dumps(self.kept_params(), default=_plain)),
            "description": self.description(),
            "fingerprint": self.fingerprint(),
            "width": self.width,
            "value_names": list(self.value_names),
            "weights": self.weights_record(),
            "versions": {library: version(library) for library in self.libraries()},
            "golden": [float(value) for value in golden],
        }

    def kept_params(self) -> dict[str, Any]:
        """The arguments that a table keeps, from which the registry makes this extractor again."""
        return {k: v for k, v in self.get_params().items() if k not in ("store", "batch_size")}

    # -- what scikit-learn calls ------------------------------------------------------------------

    def fit(self, X=None, y=None) -> "Extractor":
        """Nothing is learned; returns self."""
        return self

    def fit_transform(self, X, y=None, **_):
        """The same as `transform`."""
        return self.transform(X)

    def transform(self, X):
        """The vectors of images.

        Parameters
        ----------
        X : list of paths or RGB arrays
            Arrays are uint8 of shape (height, width, 3). With ``store``, vectors of files are looked up there
            first and kept there afterwards, unless there are arrays among them.

        Returns
        -------
        array of shape (n_images, width), float32
            Row i belongs to X[i]. A DataFrame after ``set_output(transform="pandas")``.

        Raises
        ------
        SourceError
            If an image cannot be read, or its vector is not finite; `featurize.extract` instead rejects it and
            goes on.
        """
        images = self._images(X)
        if self.store is not None and images and not any(isinstance(one, np.ndarray) for one in images):
            from featurize.extraction.run import stored_vectors

            return self._output(stored_vectors(images, self))
        result = np.empty((len(images), self.width), dtype=np.float32)
        for start in range(0, len(images), self.batch_size):
            batch = images[start : start + self.batch_size]
            matrix, finite = finite_rows(self.vectors([self._prepared(image) for image in batch]))
            if not finite.all():
                image = batch[int(np.argmin(finite))]
                raise SourceError(f"{_shown(image)}: {self.name} gave {NOT_FINITE}", LEAVE_OUT)
            result[start : start + len(batch)] = matrix
        return self._output(result)

    def _images(self, X) -> list:
        if isinstance(X, str | os.PathLike):
            raise UsageError(f"transform got one path, {X}", "give a list of paths, or use featurize.extract")
        if isinstance(X, np.ndarray) and X.dtype == np.uint8 and X.ndim == 3:
            raise UsageError("transform got one image", "give a list of images: [image]")
        # A column of paths, as ColumnTransformer and DataFrames hand it over.
        if hasattr(X, "ndim") and X.ndim == 2:
            X = np.asarray(X)
            if X.shape[1] != 1:
                raise UsageError(f"transform got {X.shape[1]} columns", "give one column of paths")
            X = X[:, 0]
        return list(X)

    def _prepared(self, image) -> np.ndarray:
        try:
            photo = (
                Photo.from_array(image)
                if isinstance(image, np.ndarray)
                else Photo(read_image(os.fspath(image)))
            )
            return self.prepare(photo)
        except ImageRejected as rejected:
            raise SourceError(f"{_shown(image)}: {rejected}", LEAVE_OUT) from rejected


def _plain(value: Any) -> Any:
    """An argument as JSON holds it: numbers and arrays of numpy, a range, a path."""
    if hasattr(value, "tolist"):
        return value.tolist()
    return list(value) if isinstance(value, range) else os.fspath(value)


def _shown(image: Any) -> str:
    return "an image" if isinstance(image, np.ndarray) else str(image)
