"""`Model`: a fitted head with everything needed to use it on a new photo."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from classify.heads.plain import PlainHead, plain_head
from featurize.errors import ModelError
from featurize.imported import is_imported
from featurize.table import FeatureTable, block_widths, readings

if TYPE_CHECKING:
    from classify.model.answers import AnswerRule
    from classify.model.outliers import Outliers


@dataclass(frozen=True)
class ExpectedShare:
    """A share to expect of new photos, and its 95 % interval, all between 0 and 1."""

    mean: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.mean:.3f} ({self.low:.3f} to {self.high:.3f})"


@dataclass(frozen=True)
class Expectation:
    """What an operating point promises of new photos; see `classify.training.thresholds.choose_threshold`."""

    sensitivity: ExpectedShare
    specificity: ExpectedShare


@dataclass(frozen=True)
class OperatingPoint:
    """A threshold on the probability of one label, and what it does on photos that were not trained on.

    Attributes
    ----------
    positive : str
        A photo is given this label where its probability reaches `threshold`, else the most probable other one.
    threshold : float
    rule : str
        How it was chosen: ``recall=0.95``, or ``costs``.
    sensitivity, specificity, precision : float
        Of the training photos, each judged by a head that had not seen it: the share of the positive ones that are
        found, of the others that are not called positive, and of those called positive that are. The threshold was
        chosen on these photos, so these figures flatter: they are no promise.
    n_positive, n_others : int
        How many photos these rest on.
    expected : Expectation or None
        The sensitivity and the specificity to expect of new photos, with 95 % intervals; None in models that were made
        before this was computed.
    """

    positive: str
    threshold: float
    rule: str
    sensitivity: float
    specificity: float
    precision: float
    n_positive: int
    n_others: int
    expected: Expectation | None = None

    def to_dict(self) -> dict[str, Any]:
        """Everything but what is expected, ready for JSON: older programs know no more keys."""
        return {key: value for key, value in asdict(self).items() if key != "expected"}

    def expected_dict(self) -> dict[str, Any] | None:
        """What is expected, ready for JSON."""
        return None if self.expected is None else asdict(self.expected)

    @classmethod
    def from_dict(
        cls, found: Mapping[str, Any], labels: Sequence[str], expected: Mapping[str, Any] | None = None
    ) -> "OperatingPoint":
        """The opposite of both; a ValueError where something is missing, or `labels` lack the positive."""
        try:
            point = msgspec.convert(found, cls)
            promise = None if expected is None else msgspec.convert(expected, Expectation)
        except msgspec.ValidationError as error:
            raise ValueError(f"its operating point: {error}") from error
        if point.positive not in labels or set(found) != set(point.to_dict()):
            raise ValueError("its operating point has another label, or other keys")
        for share in () if promise is None else (promise.sensitivity, promise.specificity):
            if not 0 <= share.low <= share.mean <= share.high <= 1:
                raise ValueError(f"its operating point expects a share of {share}")
        return replace(point, expected=promise)

    def decide(self, probabilities: np.ndarray, labels: Sequence[str]) -> np.ndarray:
        """The column of the label that each row is given, shape (n_rows,)."""
        column = list(labels).index(self.positive)
        others = np.array(probabilities, dtype=np.float64)
        positive = others[:, column] >= self.threshold
        others[:, column] = -1
        return np.where(positive, column, others.argmax(axis=1))

    def __str__(self) -> str:
        """What it is, what to expect of new photos, and what it did on those that chose it."""
        counted = f"{self.n_positive} and {self.n_others} photos not trained on"
        chosen = f"sensitivity {self.sensitivity:.3f}, specificity {self.specificity:.3f}"
        promise = "what to expect of new photos is not known"
        if self.expected is not None:
            promise = (
                f"expect sensitivity {self.expected.sensitivity} and specificity {self.expected.specificity} "
                "of new photos (95 % intervals)"
            )
        return (
            f"{self.positive} from probability {self.threshold:.4f} on ({self.rule}): {promise}; on the {counted}, "
            f"which chose it and so flatter, {chosen}, precision {self.precision:.3f}"
        )


@dataclass(frozen=True, eq=False)
class StoredHead:
    """The head of a model file: its plain arrays, which predict, and scikit-learn's, read when it is needed."""

    classes_: list[str]
    plain: PlainHead
    load: Callable[[], Any]

    def predict_proba(self, X: np.ndarray) -> np.ndarray:
        """A probability per label, float64 of shape (n_rows, n_labels)."""
        return self.plain.predict_proba(X, len(self.classes_))


@dataclass(eq=False, repr=False)
class Model:
    """A fitted head and what it was trained on; made by `classify.train_model`, kept by `classify.save_model`.

    Parameters
    ----------
    head : classifier
        Fitted, with ``predict_proba``.
    features : str
        The vectors it takes, as `FeatureTable.select` names them: ``"inception_v3+glcm"``.
    widths : list of int
        The width of each part of `features`.
    described : dict
        Per part of `features`, how its vectors were made, as in the table's ``metadata["features"]``, if known; where
        one of several parts has a ``+`` in its name, an entry for each, if only an empty one.
    relabel : dict or None
        New label by label, where the training labels were changed first.
    training : dict
        A summary: rows, photos per label, head spec, seed, data digest, library versions, date.
    hashes : array of uint64, sorted
        The last 8 bytes of the SHA-256 of each training image.
    outliers : Outliers or None
        Tells photos that look like nothing in the training; None where they were too few, or unknown.
    operating_point : OperatingPoint or None
        From which probability on one label is given; None where the most probable label always is.
    answers : AnswerRule or None
        The tree of the labels, and how probable an answer must be; None where the labels form none.
    """

    head: Any = field(repr=False)
    features: str
    widths: list[int]
    described: dict[str, dict[str, Any]] = field(default_factory=dict)
    relabel: dict[str, str] | None = None
    training: dict[str, Any] = field(default_factory=dict)
    hashes: np.ndarray = field(default_factory=lambda: np.empty(0, dtype=np.uint64))
    outliers: "Outliers | None" = None
    operating_point: "OperatingPoint | None" = None
    answers: "AnswerRule | None" = None

    def __repr__(self) -> str:
        head = self.training.get("head") or type(self.head).__name__
        taken = ", ".join(f"{one} ({width})" for one, width in zip(self.parts, self.widths, strict=True))
        labels = self.labels if hasattr(self.predictor, "classes_") else []
        shown = ", ".join(labels[:6]) + (", …" if len(labels) > 6 else "")
        photos = f"; trained on {self.training['photos']} photos" if "photos" in self.training else ""
        return (
            f"Model: {head} on {taken}; {len(labels)} label{'s' * (len(labels) != 1)} {shown}".rstrip()
            + photos
        )

    def _repr_html_(self) -> str:
        """For notebooks: the line, and how many training photos each label has."""
        from html import escape

        photos = self.training.get("photos_per_label") or {}
        rows = "".join(
            f"<tr><th>{escape(label)}</th><td>{photos.get(label, '')}</td></tr>" for label in self.labels[:20]
        )
        head = "<tr><th>label</th><th>training photos</th></tr>"
        return f"<p>{escape(repr(self))}</p><table>{head}{rows}</table>"

    @property
    def predictor(self) -> Any:
        """What gives the probabilities: the head, or what stands for it."""
        return self.head

    @property
    def plain(self) -> PlainHead | None:
        """The head as plain arrays, whoever asks for them; None where they cannot express it."""
        return plain_head(self.head)

    @property
    def labels(self) -> list[str]:
        """The labels that it tells apart, in the order of the probabilities."""
        return [str(label) for label in self.predictor.classes_]

    @property
    def parts(self) -> list[str]:
        """The features it takes, one by one."""
        if len(self.widths) == 1:
            return [self.features]
        # Where a name holds a +, all are in `described`.
        return next(iter(readings(self.features, self.described)), self.features.split("+"))

    @property
    def blocks(self) -> list[int]:
        """The width of each block that was scaled for itself, as `FeatureTable.blocks` tells them."""
        return block_widths(self.parts, self.widths, self.described)

    def predict_proba(self, X: np.ndarray) -> np.ndarray:
        """A probability per label, float64 of shape (n_rows, n_labels); rows sum to 1.

        `X` is ``table.select(model.features)``, of shape (n_rows, sum(widths)); see `check_table` for whether the table
        fits. A ModelError where the vectors have another width, or what comes out are no numbers.
        """
        X = np.asarray(X)
        if X.ndim != 2 or X.shape[1] != sum(self.widths):
            what = f"the model takes vectors of shape (n, {sum(self.widths)}), and was given shape {X.shape}"
            raise ModelError(what, f"give table.select({self.features!r})")
        if len(X) == 0:
            return np.empty((0, len(self.labels)))
        hint = "check the vectors, or train it again"
        try:
            with np.errstate(all="ignore"):
                probabilities = np.asarray(self.predictor.predict_proba(X), dtype=np.float64)
        except ValueError as error:  # vectors of NaN
            raise ModelError(f"the model gives no probabilities for these vectors: {error}", hint) from error
        if probabilities.shape != (len(X), len(self.labels)) or not np.isfinite(probabilities).all():
            raise ModelError("the model gives no probabilities for these vectors", hint)
        return probabilities

    def predict(self, X: np.ndarray) -> np.ndarray:
        """The label of each row, the most probable one or by the operating point, shape (n_rows,)."""
        return np.array(self.labels, dtype=object)[self.decide(self.predict_proba(X))]

    def decide(self, probabilities: np.ndarray) -> np.ndarray:
        """From probabilities, shape (n_rows, n_labels), the column of the label that each row is given."""
        if self.operating_point is None:
            return probabilities.argmax(axis=1)
        return self.operating_point.decide(probabilities, self.labels)

    def seen(self, sha256: Iterable[str | None]) -> np.ndarray:
        """Whether each image, by its SHA-256 in hex, was among the training images; False where it is None.

        Two images share the 8 bytes that are kept by chance once in 10^19 pairs.
        """
        return np.array([short_hash(one) in self._known for one in sha256], dtype=bool)

    @cached_property
    def _known(self) -> set[int]:
        return set(self.hashes.tolist())

    def check_table(self, table: FeatureTable) -> FeatureTable:
        """The table with the model's names for its columns, which are found by fingerprint, however they are spelled.

        Refuses, by a ModelError that names each difference, a table whose vectors were made otherwise than those of the
        training: other weights, another layer, other preprocessing.
        """
        table = table.named_as({part: self.described.get(part, {}) for part in self.parts})
        missing = [part for part in self.parts if part not in table.vectors]
        if missing:
            hint = f"extract them with `featurize extract --features {' '.join(self.parts)}`"
            if unknown := [part for part in missing if is_imported(self.described.get(part))]:
                hint = (
                    f"import them as those of the training (`featurize import-vectors --name {unknown[0]}`)"
                )
            raise ModelError(
                f"the model needs the features {', '.join(missing)}; the table has "
                f"{', '.join(table.features) or 'none'}",
                hint,
            )
        for part in self.parts:
            entry = table.metadata["features"].get(part, {})
            self._check_description(part, entry, "in the table", table.vectors[part].shape[1])
        return table

    def check_extractor(self, part: str, extractor: Any) -> None:
        """Refuse an extractor that would make other vectors than those of the training; see `check_table`.

        A network in int8 that was made again by the recipe of the training passes: only its vectors can show whether
        it is as good as the same, and whoever uses it looks at them.
        """
        try:
            entry = {"fingerprint": extractor.fingerprint(), "description": extractor.description()}
            mine = self.described.get(part, {})
            if "quantised" in entry["description"] and "quantised" in (mine.get("description") or {}):
                again = {**entry["description"], "quantised": mine["description"]["quantised"]}
                if again == mine["description"]:
                    entry["fingerprint"] = mine.get("fingerprint")
        except TypeError as error:  # parameters of a wrong kind: somebody edited the model
            what = f"the features {part} cannot be made as the model describes them: {error}"
            raise ModelError(what, "extract them again, and train again on them") from error
        self._check_description(part, entry, "here", extractor.width)

    def _check_description(self, part: str, entry: Mapping[str, Any], where: str, width: int) -> None:
        """Refuse features of another width or fingerprint than the model's `part`."""
        mine, own = self.described.get(part, {}), self.widths[self.parts.index(part)]
        if width == own and mine.get("fingerprint") == entry.get("fingerprint"):
            return
        differences = describe_differences(mine.get("description") or {}, entry.get("description") or {})
        if width != own:
            differences.insert(0, f"width {own} in the model, {width} {where}")
        if not differences:
            ours, theirs = (str(one.get("fingerprint") or "unknown")[:12] for one in (mine, entry))
            differences = [f"fingerprint {ours} in the model, {theirs} {where}"]
        what = f"the features {part} are not those that the model was trained on: {'; '.join(differences)}"
        hint = "extract with the settings of the model (`classify show MODEL` lists them), or train again on these"
        raise ModelError(what, hint)


class StoredModel(Model):
    """A model of a file that holds its head as plain arrays, too.

    These predict. `head` is scikit-learn's, read from the file when somebody asks for it; from then on it predicts.
    """

    _head: Any

    @property
    def predictor(self) -> Any:
        return self._head

    @property
    def plain(self) -> PlainHead | None:
        return self._head.plain if isinstance(self._head, StoredHead) else plain_head(self._head)

    @property
    def head(self) -> Any:
        if isinstance(self._head, StoredHead):
            self._head = self._head.load()
        return self._head

    @head.setter
    def head(self, head: Any) -> None:
        self._head = head


def describe_differences(ours: Any, theirs: Any, name: str = "") -> list[str]:
    """Where two extractor descriptions differ, one text per difference."""
    if not (isinstance(ours, Mapping) and isinstance(theirs, Mapping)):
        return [] if ours == theirs else [f"{name} was {_shown(ours)}, is now {_shown(theirs)}"]
    found = []
    for key in sorted({*ours, *theirs}):
        found += describe_differences(ours.get(key), theirs.get(key), f"{name}.{key}" if name else str(key))
    return found


def _shown(value: Any) -> str:
    text = "not set" if value is None else str(value)
    return text if len(text) <= 60 else text[:57] + "…"


def short_hash(sha256: str | None) -> int | None:
    """The last 8 bytes of a SHA-256 in hex as an integer; None if there is none."""
    if sha256 is None or not re.fullmatch("[0-9a-f]{64}", sha256):
        return None
    return int(sha256[-16:], 16)


def short_hashes(sha256: Sequence[str | None] | np.ndarray) -> np.ndarray:
    """The distinct short hashes of the images whose content is known, sorted, as uint64."""
    known = {short for short in map(short_hash, sha256) if short is not None}
    return np.array(sorted(known), dtype=np.uint64)
