"""What a model answers where its labels form a tree: the deepest node that is probable enough."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import msgspec
import numpy as np

from classify.model.model import ExpectedShare
from classify.taxonomy import Taxonomy
from featurize.errors import UsageError


class _Stored(msgspec.Struct, forbid_unknown_fields=True):
    parents: dict[str, str]
    threshold: float
    asked: float
    expected: ExpectedShare
    n_photos: int
    n_answers: int
    n_labels: int


@dataclass(frozen=True, eq=False)
class AnswerRule:
    """A tree of the labels, the probability that an answer must reach, and what to expect of answers on new photos.

    Attributes
    ----------
    taxonomy : Taxonomy
    threshold : float
        The answer is the deepest node that reaches it; see `Taxonomy.answer`.
    asked : float
        The share of right answers that was asked for.
    expected : ExpectedShare
        The share of right answers to expect of new photos, with its 95 % interval. Only what says more than the top of
        the tree is an answer.
    n_photos, n_answers, n_labels : int
        How many photos chose the threshold, how many of these got an answer, and how many one that is a label.
    """

    taxonomy: Taxonomy
    threshold: float
    asked: float
    expected: ExpectedShare
    n_photos: int
    n_answers: int
    n_labels: int

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON; the labels stand beside it."""
        numbers = {name: getattr(self, name) for name in _Stored.__struct_fields__ if name != "parents"}
        return {**numbers, "expected": asdict(self.expected), "parents": self.taxonomy.parents}

    @classmethod
    def from_dict(cls, found: Mapping[str, Any], labels: Sequence[str]) -> "AnswerRule":
        """The opposite; a ValueError where something is missing or makes no sense."""
        try:
            stored = msgspec.convert(found, _Stored)
            taxonomy = Taxonomy(stored.parents, labels)
        except (msgspec.ValidationError, UsageError) as error:
            raise ValueError(f"its taxonomy: {error}") from error
        share = stored.expected
        if not (0 <= share.low <= share.mean <= share.high <= 1 and 0 <= stored.threshold <= 1):
            raise ValueError(f"its taxonomy expects a share of {share} from {stored.threshold} on")
        numbers = {name: getattr(stored, name) for name in _Stored.__struct_fields__ if name != "parents"}
        return cls(taxonomy, **numbers)

    def answers(self, probabilities: np.ndarray, threshold: float | None = None) -> "Answers":
        """The answer for each row of probabilities, of shape (n_rows, n_labels); `threshold` may be another one."""
        given = self.threshold if threshold is None else threshold
        return Answers(self.taxonomy, *self.taxonomy.paths(probabilities), given)

    def __str__(self) -> str:
        """What it is, and what to expect of new photos."""
        n, general = self.n_photos, self.n_answers - self.n_labels
        return (
            f"answers with the deepest of {len(self.taxonomy.nodes) - 1} names in {self.taxonomy.depth} levels that "
            f"reaches probability {self.threshold:.4f}: expect {self.expected} of answers right on new photos (95 % "
            f"interval; {self.asked:g} was asked for); of {n} photos not trained on {self.n_labels} got a label, "
            f"{general} a more general answer, {n - self.n_answers} none but {self.taxonomy.nodes[0]}"
        )


@dataclass(frozen=True, eq=False)
class Answers:
    """Answers for some photos: paths from the top of the tree, how probable each node is, and what it must reach."""

    taxonomy: Taxonomy
    nodes: np.ndarray  # (n_rows, depth + 1), -1 below the end
    chances: np.ndarray  # of the same shape
    threshold: float

    @property
    def level(self) -> np.ndarray:
        """How far below the top each answer is, 0 for the top itself; shape (n_rows,)."""
        return np.maximum((self.chances >= self.threshold).sum(axis=1) - 1, 0)

    @property
    def node(self) -> np.ndarray:
        """The node of each answer, shape (n_rows,)."""
        return self.nodes[np.arange(len(self.nodes)), self.level]

    @property
    def confidence(self) -> np.ndarray:
        """The probability of each answer, shape (n_rows,)."""
        return self.chances[np.arange(len(self.nodes)), self.level]

    @property
    def name(self) -> list[str]:
        """What each answer is called."""
        return [self.taxonomy.nodes[place] for place in self.node]

    def deeper(self, row: int) -> list[tuple[str, float]]:
        """What the path of a row holds below its answer, with probabilities."""
        below = slice(int(self.level[row]) + 1, None)
        pairs = zip(self.nodes[row, below].tolist(), self.chances[row, below].tolist(), strict=True)
        return [(self.taxonomy.nodes[place], chance) for place, chance in pairs if place >= 0]
