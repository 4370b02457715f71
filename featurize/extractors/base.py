"""The contract of every extractor: a scikit-learn transformer with a name, a width and a fingerprint."""

import hashlib
import json
import os
from collections.abc import Sequence
from typing import Any

import numpy as np

from featurize.contents import read_image
from featurize.decode import ImageRejected
from featurize.errors import SourceError, UsageError
from featurize.extractors.finite import NOT_FINITE, finite_rows
from featurize.extractors.steps import apply_steps, describe_steps
from featurize.extractors.transformer import Transformer
from featurize.pixels import Photo, golden_image

GOLDEN_SHA256 = hashlib.sha256(golden_image().tobytes()).hexdigest()
LEAVE_OUT = "leave it out, or use featurize.extract, which sets such images aside"


class Extractor(Transformer):
    """Turns images into vectors, each of which depends on its image and the extractor's settings alone.

    A new family is a subclass in a file of its own and one line in `featurize.extractors`; in another package it
    is an entry point of the group ``featurize.extractors``, named as the family. It stores its arguments in
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
            from featurize.run import stored_vectors

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
