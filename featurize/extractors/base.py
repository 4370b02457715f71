"""The contract of every extractor: a scikit-learn transformer with a name, a width and a fingerprint."""

import hashlib
import json
import os
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin

from featurize.errors import SourceError, UsageError, failing_of_others
from featurize.extractors.batches import MEND, Failed, Task, compute, max_images_in_flight, read_photo
from featurize.photos.decode import DECODE_VERSION, ImageRejected
from featurize.photos.memory import PhotoSource, checked_origin, is_one_photo, photo_and_label, several
from featurize.photos.origin import Origin
from featurize.photos.photo import Photo, decode_policy, resize
from featurize.photos.preprocess import apply_steps, decoding_of, describe_steps
from featurize.photos.rows import Named, frame_photos, is_frame, photo_rows
from featurize.store.shard import image_keys
from featurize.store.store import ShardWriter, Store


def golden_image() -> np.ndarray:
    """The small picture whose vector proves that an extractor still computes the same; uint8, shape (96, 128, 3).

    Smooth ramps, a disc and a fine texture, from integer arithmetic alone: the same on every machine.
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


def small_image(photo: Photo, longer: int = LONGER_SIDE) -> np.ndarray:
    """The photo, uint8 of shape (height, width, 3), its longer side at most `longer` pixels."""
    return resize(photo.rgb(longer=longer), *small_size(photo, longer))


def small_settings(longer: int = LONGER_SIDE) -> dict[str, Any]:
    """How photos become small, for the fingerprint."""
    return {
        "decode": decode_policy(longer=longer),
        "resize": f"longer side at most {longer}, bilinear with antialiasing",
    }


def small_size(photo: Photo, longer: int = LONGER_SIDE) -> tuple[int, int]:
    """Width and height of the photo with its longer side brought down to `longer` pixels."""
    factor = min(1.0, longer / max(photo.width, photo.height))
    return max(1, round(photo.width * factor)), max(1, round(photo.height * factor))


GOLDEN_SHA256 = hashlib.sha256(golden_image().tobytes()).hexdigest()
LEAVE_OUT = "leave it out, or use featurize.extract, which sets such images aside"


class Extractor(TransformerMixin, BaseEstimator):
    """Turns images into vectors, each of which depends on its image and the extractor's settings alone.

    A new family is a subclass and one line in `featurize.registry`; in another package, an entry point of the group
    ``featurize.extractors``, named as the family. It defines ``family`` (its name in specs), ``version`` (to raise
    whenever its vectors change), `value_names`, `settings` and `prepare`; further arguments it stores in ``__init__``.

    Parameters
    ----------
    preprocess : sequence of str, default ()
        Steps that change the photo first, such as ``("remove-hair",)``; see `featurize.photos.preprocess`.
    store : Store or path, optional
        Where `transform` keeps and finds the vectors of files.

    Examples
    --------
    >>> class MeanColor(Extractor):
    ...     family, version = "mean-color", 1
    ...     value_names = ("red", "green", "blue")
    ...     def settings(self):
    ...         return {}
    ...     def prepare(self, photo):
    ...         return self.view(photo).rgb().mean(axis=(0, 1), dtype=np.float32)
    >>> MeanColor().transform([np.full((4, 4, 3), 7, dtype=np.uint8)])
    array([[7., 7., 7.]], dtype=float32)
    """

    family: str
    version: int | str | None
    preprocess: Sequence[str] = ()
    batch_size: int = 32
    store: Any = None
    decode_version: int = DECODE_VERSION
    reentrant: bool = False  # whether two threads may run it at once
    known_as: str | None = None  # the spec as it was typed, or the name in a table or a model
    # Whose vectors in the store are as good as its own, as those of another engine are for a prediction.
    in_place_of: "Extractor | None" = None
    not_in_specs: Collection[str] = ("store", "batch_size")  # arguments that a features spec cannot set

    def __init__(self, preprocess: Sequence[str] = (), store: Any = None):
        self.preprocess = preprocess
        self.store = store

    @property
    def value_names(self) -> Sequence[str]:
        """A name for each number of a vector; their count is the width."""
        raise NotImplementedError

    @property
    def name(self) -> str:
        """The features spec of this extractor; the name of its column in a table."""
        return self.known_as or self.usual_name

    @property
    def usual_name(self) -> str:
        """The spec without parameters."""
        return self.family

    @property
    def stored_as(self) -> str:
        """How stores name its vectors: the same however the spec was typed."""
        return self.usual_name if self.known_as else self.name

    def settings(self) -> dict[str, Any]:
        """Everything but family and version that can change a number, as plain JSON values."""
        raise NotImplementedError

    def prepare(self, photo: Photo) -> np.ndarray:
        """The work on one photo, on the pixels of ``self.view(photo)``; called in several threads at once."""
        raise NotImplementedError

    def vectors(self, prepared: list[np.ndarray]) -> np.ndarray:
        """What `prepare` returned for some images, as float32 of shape (n_images, width); here, stacked."""
        return np.stack(prepared).astype(np.float32)

    def run_key(self) -> str | None:
        """Extractors with the same key run as one pass, on the same pixels; None runs alone."""
        return None

    @property
    def at_once(self) -> int:
        """How many photos make a batch."""
        return self.batch_size

    @property
    def device(self) -> str:
        """What it runs on, where that is no processor; for the progress line."""
        return ""

    def stack(self, prepared: list[np.ndarray]) -> Any:
        """What `run_together` takes: `prepared` itself, or what can be made of it while another batch runs."""
        return prepared

    def run_together(self, group: Sequence["Extractor"], stacked: Any) -> list[np.ndarray]:
        """What `vectors` of each extractor of a group would return; `self` is the first of them."""
        return [self.vectors(stacked)]

    def team(self) -> str | None:
        """The former name of `run_key`."""
        return self.run_key()

    def gather(self, prepared: list[np.ndarray]) -> Any:
        """The former name of `stack`."""
        return self.stack(prepared)

    def vectors_of(self, team: Sequence["Extractor"], gathered: Any) -> list[np.ndarray]:
        """The former name of `run_together`."""
        return self.run_together(team, gathered)

    def view(self, photo: Photo) -> Photo:
        """The photo, decoded by this extractor's version, after the steps in ``preprocess``.

        Steps work on all pixels, never on a smaller decoding; extractors with the same steps share the result.
        """
        decoding, steps = decoding_of(self.preprocess, self.decode_version)
        photo = photo.decoded_as(decoding)
        return photo if not steps else photo.view(steps, lambda rgb: apply_steps(rgb, steps))

    def weights_record(self) -> dict[str, Any] | None:
        """Where the network's weights come from; None for an extractor without weights."""
        return None

    def remarks(self) -> list[str]:
        """What limits what these vectors mean, as far as it was seen: a sentence each; tables and reports repeat it."""
        return []

    def libraries(self) -> tuple[str, ...]:
        """Distributions whose versions are recorded beside the vectors."""
        return ("numpy", "pillow")

    def attach(self, store: Any) -> None:
        """Use `store` for what can be kept beside the vectors, such as a frozen network."""

    @property
    def width(self) -> int:
        """How many numbers a vector has."""
        return len(self.value_names)

    @property
    def blocks(self) -> list[int]:
        """How many numbers belong together, from left to right; heads scale block by block."""
        return [self.width]

    def description(self) -> dict[str, Any]:
        """Everything that can change a number, as plain JSON values."""
        return self._described(self.decode_version)

    def version_by(self, decode_version: int) -> int | str | None:
        """`version` with photos decoded by that version; another one where both changed at once."""
        return self.version

    def _described(self, decode_version: int) -> dict[str, Any]:
        steps = describe_steps(self.preprocess)
        described = {"family": self.family, "version": self.version_by(decode_version), **self.settings()}
        if decode_version > 1:
            # Version 1 stood only where an extractor's settings said so, which those of other packages need not.
            policy = described.get("decode", {})
            policy = policy if isinstance(policy, dict) else {"policy": policy}
            described["decode"] = {**policy, "version": decode_version}
        return {**described, "preprocess": steps} if steps else described

    def fingerprint(self) -> str:
        """SHA-256 of the canonical JSON of `description`: equal for vectors that may be mixed."""
        return digest_of(self.description())

    def earlier_fingerprints(self) -> list[str]:
        """What the fingerprint is by each earlier decode version, with the same settings."""
        return [digest_of(self._described(version)) for version in range(1, self.decode_version)]

    def record(self, golden: np.ndarray) -> dict[str, Any]:
        """What a table keeps about this extractor; `golden` is its vector of `golden_image`."""
        from importlib.metadata import version

        # First, because its errors say more than those of an extractor that runs.
        fingerprint = self.fingerprint()
        blocks, remarks = self.blocks, self.remarks()
        return {
            "spec": self.name,
            "family": self.family,
            "params": json.loads(json.dumps(self.kept_params(), default=plain)),
            "description": self.description(),
            "fingerprint": fingerprint,
            "width": self.width,
            **({"blocks": blocks} if len(blocks) > 1 else {}),
            "value_names": list(self.value_names),
            "weights": self.weights_record(),
            **({"remarks": remarks} if remarks else {}),
            "versions": {library: version(library) for library in self.libraries()},
            "golden": [float(value) for value in golden],
        }

    def kept_params(self) -> dict[str, Any]:
        """The arguments that a table keeps, from which the registry makes this extractor again."""
        return {k: v for k, v in self.get_params(deep=False).items() if k not in ("store", "batch_size")}

    def set_params(self, **params) -> Self:
        """Change arguments of ``__init__``; UsageError, with those there are, for a name that it does not have."""
        known = self._get_param_names()
        unknown = [name for name in params if name.partition("__")[0] not in known]
        if unknown:
            raise UsageError(
                f"{type(self).__name__} has no parameter {unknown[0]}", f"it has {', '.join(known)}"
            )
        if set(params) - {"store", "batch_size"}:
            self.known_as = None  # which told other settings
        return super().set_params(**params)

    def get_feature_names_out(self, input_features=None) -> np.ndarray:
        """A name for each number of a vector, as an array of objects."""
        return np.array(list(self.value_names), dtype=object)

    def fit(self, X=None, y=None) -> "Extractor":
        """Nothing is learned; returns self."""
        return self

    def transform(self, X: PhotoSource) -> Any:
        """The vectors of photos.

        Parameters
        ----------
        X : list of photos, DataFrame, or Hugging Face dataset
            Photos are given as in `featurize.extract`: paths, the bytes of image files, open files, Pillow images, RGB
            arrays (uint8 of shape (height, width, 3)); a label beside one does not count. Of a DataFrame, its one
            column, or the one that is called image. With ``store``, vectors are looked up there first and kept there
            afterwards.

        Returns
        -------
        array of shape (n_images, width), float32
            Row i belongs to X[i]. A DataFrame after ``set_output(transform="pandas")``, with the index of `X` where
            that is a Series or a DataFrame.

        Raises
        ------
        SourceError
            If an image cannot be read, or its vector is not finite; `featurize.extract` rejects it and goes on.
        UsageError
            If something is no photo; its position is named, counted from 0.
        """
        if hasattr(X, "to_frame") and hasattr(X, "index"):
            return self.transform(X.to_frame("image"))  # of which scikit-learn keeps the index
        origins = self._origins(X)
        if self.store is not None and origins:
            return self._from_store(origins)
        matrix = np.empty((len(origins), self.width), dtype=np.float32)
        tasks = [Task(i, partial(_open, one), name=one.place) for i, one in enumerate(origins)]
        self._compute(tasks, origins, matrix)
        return matrix

    def _origins(self, X: Any) -> list[Origin]:
        if isinstance(X, str | os.PathLike):
            raise UsageError(f"transform got one path, {X}", "give a list of paths, or use featurize.extract")
        if is_one_photo(X):
            raise UsageError("transform got one image", "give a list of images: [image]")
        if is_frame(X):
            X = frame_photos(X)
        elif hasattr(X, "ndim") and X.ndim == 2:  # a column of paths, as ColumnTransformer hands it over
            X = np.asarray(X)
            if X.shape[1] != 1:
                raise UsageError(f"transform got {X.shape[1]} columns", "give one column of paths")
            X = X[:, 0]
        elif (rows := photo_rows(X, None)) is not None:
            return [_held(place, row) for place, row in rows]
        numbered = [(f"photo {number}", one) for number, one in enumerate(several(X))]
        return [checked_origin(photo_and_label(one, where)[0], where) for where, one in numbered]

    def _from_store(self, origins: list[Origin]) -> np.ndarray:
        """The vectors of photos, those that the store has not computed and kept."""
        store = self.store if isinstance(self.store, Store) else Store(self.store)
        self.attach(store)
        index, jobs = store.file_index(), os.cpu_count() or 1
        contents: list = index.known(origins)
        unread = [i for i, content in enumerate(contents) if content is None]
        for i, content in zip(unread, index.read([origins[i] for i in unread], jobs=jobs), strict=True):
            contents[i] = content
        for origin, content in zip(origins, contents, strict=True):
            if isinstance(content, ImageRejected):
                raise SourceError(f"{origin.place}: {content}", LEAVE_OUT)
        sha256 = [content.sha256 for content in contents]
        section, keys = store.section_of(self), image_keys(sha256)
        matrix = np.empty((len(origins), self.width), dtype=np.float32)
        missing = np.flatnonzero(~section.load(keys, matrix)).tolist()
        first: dict[str, int] = {}
        for i in missing:
            first.setdefault(sha256[i], i)
        tasks = [
            Task(i, partial(read_photo, digest, [origins[i]]), name=origins[i].place)
            for digest, i in first.items()
        ]
        with ShardWriter(section, begun=max_images_in_flight([self])) as writer:
            self._compute(tasks, origins, matrix, lambda rows, vectors: writer.add(keys[rows], vectors))
        matrix[missing] = matrix[[first[sha256[i]] for i in missing]]
        if missing:
            section.compact()
        return matrix

    def _compute(
        self, tasks: Sequence[Task], origins: list[Origin], matrix: np.ndarray, keep: Callable | None = None
    ) -> None:
        """Fill in the row of `matrix` that is each task's key; `keep` is told the rows and vectors of each batch."""
        for result in compute(tasks, [self], jobs=os.cpu_count() or 1):
            if isinstance(result, Failed):
                raise SourceError(f"{origins[result.key].place}: {result.reason}", LEAVE_OUT)
            matrix[result.keys] = result.matrix
            if keep is not None:
                keep(result.keys, result.matrix)

    def __sklearn_is_fitted__(self) -> bool:
        return True

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array, tags.input_tags.string = False, True
        tags.transformer_tags.preserves_dtype = []
        tags.requires_fit, tags.no_validation = False, True
        return tags

    def __getstate__(self) -> dict[str, Any]:
        # Only the arguments travel to worker processes, never a network.
        kept = dict(self.get_params(deep=False))
        if hasattr(self, "_sklearn_output_config"):
            kept["_sklearn_output_config"] = self._sklearn_output_config
        named = {"known_as": self.known_as} if self.known_as else {}
        return {**kept, **named, "decode_version": self.decode_version}

    def __setstate__(self, state: dict[str, Any]) -> None:
        # What an earlier program pickled goes on with the version of its day.
        super().__setstate__({"decode_version": 1, **state})

    def __sklearn_clone__(self) -> "Extractor":
        clone = super().__sklearn_clone__()
        if self.decode_version != clone.decode_version:
            clone.decode_version = self.decode_version
        if self.known_as:
            clone.known_as = self.known_as
        return clone


def digest_of(description: Mapping[str, Any]) -> str:
    """The fingerprint of an extractor that is described so: SHA-256 of the canonical JSON."""
    text = json.dumps(description, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()


def attach_checked(extractor: Extractor, store: Any) -> None:
    """Attach a store, and ask all that a table will ask: what an extractor cannot tell is an error before the work."""
    with failing_of_others(f"the features {extractor.name} cannot be used", MEND):
        extractor.attach(store)
        extractor.record(np.zeros(0))
        if not extractor.width:
            raise UsageError(f"{extractor.name} has vectors of no numbers", MEND)


def _open(origin: Origin) -> Photo:
    return Photo.of(origin.read())


def _held(place: str, row: Any) -> Origin:
    """The photo that a row of a manifest holds."""
    if isinstance(row, str) or not isinstance(row["image"], Named):
        raise SourceError(f"{place}: {row if isinstance(row, str) else 'there is no image'}", LEAVE_OUT)
    return row["image"].origin


def plain(value: Any) -> Any:
    """An argument as JSON holds it: numbers and arrays of numpy, a range, a path."""
    if hasattr(value, "tolist"):
        return value.tolist()
    return list(value) if isinstance(value, range) else os.fspath(value)
