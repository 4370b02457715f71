"""Simulates what `classify train --taxonomy` promises: how often the interval holds the share of right answers.

Run ``python tests/benchmarks/answers.py`` (15 minutes of one core; ``--simulations 100`` for a look). The figures
stand in classify/README.md.

Labels in a tree of three levels lie apart in 20 numbers, those of one parent less far. The head is a linear
discriminant, which takes a millisecond to fit. Its answers are judged on 20,000 new photos: how probable each is to be
right is known from where the labels lie, so that little of the truth is luck. In groups, photos share half of what
varies. The aim is that the 95 % interval of right answers holds the truth of the model that is trained on all photos in
93 to 97 of 100 draws. The last three designs were drawn after the method was chosen.
"""

from dataclasses import dataclass

import numpy as np
from figures import figure, parser, report
from threadpoolctl import threadpool_limits

from classify.folds import Fold, make_folds
from classify.model.answers import AnswerRule
from classify.taxonomy import Taxonomy
from classify.training.answers import choose_answers
from featurize.errors import UsageError

WIDTH, N_FOLDS, N_POOL, N_NEW, SHRINKAGE = 20, 5, 200_000, 20_000, 0.1


@dataclass(frozen=True)
class Design:
    """How many photos, in groups of how many, of how many labels, how far apart, and what is asked for, in a world."""

    photos: int
    group: int
    labels: int
    apart: float
    accuracy: float
    world: int = 7


DESIGNS = {
    "300 photos, 12 labels, 90 %": Design(300, 1, 12, 0.7, 0.9),
    "300 photos, 12 labels, 95 %": Design(300, 1, 12, 0.7, 0.95),
    "1,200 photos, 12 labels, 90 %": Design(1200, 1, 12, 0.7, 0.9),
    "1,200 photos, 12 labels, 95 %": Design(1200, 1, 12, 0.7, 0.95),
    "1,200 photos, 12 labels, easier, 95 %": Design(1200, 1, 12, 1.0, 0.95),
    "1,200 photos in groups of 5, 12 labels, 95 %": Design(1200, 5, 12, 0.8, 0.95),
    "3,000 photos, 60 labels, 95 %": Design(3000, 1, 60, 0.8, 0.95),
    "600 photos, 24 labels, 90 %": Design(600, 1, 24, 0.8, 0.9, 11),
    "150 photos, 6 labels, 90 %": Design(150, 1, 6, 0.7, 0.9, 12),
    "2,000 photos in groups of 4, 30 labels, 95 %": Design(2000, 4, 30, 0.8, 0.95, 13),
}  # fmt: skip


def tree_of(n_labels: int) -> Taxonomy:
    """Three labels to a parent, two parents to one of theirs."""
    labels = [f"label {n:03}" for n in range(n_labels)]
    above = {name: f"parent {n // 3:03}" for n, name in enumerate(labels)}
    return Taxonomy(above | {name: f"top {int(name[-3:]) // 2:03}" for name in above.values()}, labels)


class World:
    """Where the labels lie; draws of photos, and heads."""

    def __init__(self, design: Design):
        n, rng = design.labels, np.random.default_rng(design.world)
        place = np.arange(n)
        spread = [
            0.9 * rng.normal(size=(n // 6, WIDTH))[place // 6],
            0.7 * rng.normal(size=(n // 3, WIDTH))[place // 3],
        ]
        self.means = design.apart * (sum(spread) + 0.5 * rng.normal(size=(n, WIDTH)))
        self.design, self.tree = design, tree_of(n)
        self.truth = np.arange(design.photos) // design.group % n
        self.groups = np.arange(design.photos) // design.group
        names = np.array(self.tree.labels)
        self.label = names[self.truth]
        self.folds, self.halves = (
            make_folds(self.label, self.groups, n_folds=k, seed=0) for k in (N_FOLDS, 2)
        )
        # New photos, and how probable each name in the tree is for them, by where the labels lie.
        drawn = rng.permutation(np.arange(N_POOL) % n)
        self.new = (rng.normal(size=(N_POOL, WIDTH)) + self.means[drawn]).astype(np.float32)
        best = self.means.T.astype(np.float32), -(self.means**2).sum(axis=1).astype(np.float32) / 2
        self.names = by_level(self.chances(best, self.new))

    def photos(self, rng: np.random.Generator) -> np.ndarray:
        """Vectors of the photos to train on."""
        shared = 0.5 if self.design.group > 1 else 0.0
        own = rng.normal(size=(len(self.truth), WIDTH)) * (1 - shared) ** 0.5
        together = rng.normal(size=(self.groups[-1] + 1, WIDTH))[self.groups] * shared**0.5
        return own + together + self.means[self.truth]

    def fitted(self, X: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Weights and offsets of a linear discriminant with a shrunk covariance."""
        n = self.design.labels
        means = np.stack([X[y == label].mean(axis=0) for label in range(n)])
        rest = X - means[y]
        spread = (1 - SHRINKAGE) * rest.T @ rest / (len(X) - n)
        spread += SHRINKAGE * np.trace(spread) / WIDTH * np.eye(WIDTH)
        weights = np.linalg.solve(spread, means.T)
        return weights, -np.einsum("ij,ji->i", means, weights) / 2

    @staticmethod
    def chances(head: tuple[np.ndarray, np.ndarray], X: np.ndarray) -> np.ndarray:
        """A probability per label."""
        logits = X @ head[0] + head[1]
        odds = np.exp(logits - logits.max(axis=1, keepdims=True))
        return odds / odds.sum(axis=1, keepdims=True)

    def held_out(self, X: np.ndarray, folds: list[Fold]) -> np.ndarray:
        """Probabilities of each photo from a head that has not seen it."""
        found = np.empty((len(X), self.design.labels))
        for fold in folds:
            head = self.fitted(X[fold.training], self.truth[fold.training])
            found[fold.testing] = self.chances(head, X[fold.testing])
        return found

    def right(self, head: tuple[np.ndarray, np.ndarray], threshold: float, first: int) -> tuple[float, float]:
        """How many answers are right, and how many of the new photos from the `first` on get one."""
        weights, offsets = (one.astype(np.float32) for one in head)
        levels = by_level(self.chances((weights, offsets), self.new[first : first + N_NEW]))
        rows, right = np.arange(N_NEW), np.zeros(N_NEW)
        above, n_above = np.zeros(N_NEW, dtype=int), 1
        for given, known in zip(levels, self.names, strict=True):
            n_below = given.shape[1] // n_above
            branch = given.reshape(N_NEW, n_above, n_below)[rows, above]
            above, n_above = above * n_below + branch.argmax(axis=1), given.shape[1]
            right = np.where(given[rows, above] >= threshold, known[first + rows, above], right)
        some = right > 0
        return float(right[some].mean()), float(some.mean())

    def draw(self, rng: np.random.Generator) -> tuple[AnswerRule, float, float] | None:
        """What is promised, how many answers on new photos are right, and how many of these get one; None: refused."""
        X = self.photos(rng)
        held_out, halves = self.held_out(X, self.folds), self.held_out(X, self.halves)
        given = self.tree, self.design.accuracy, self.groups
        try:
            rule = choose_answers(self.label, held_out, *given, n_folds=N_FOLDS, halves=halves)
        except UsageError:
            return None
        first = int(rng.integers(N_POOL - N_NEW))
        return rule, *self.right(self.fitted(X, self.truth), rule.threshold, first)


def by_level(chances: np.ndarray) -> list[np.ndarray]:
    """The probabilities of the names of each level in the tree of `tree_of`, from the top, a row per photo."""
    n = len(chances)
    parents = chances.reshape(n, -1, 3).sum(axis=2)
    tops = parents.reshape(n, -1, 2).sum(axis=2)
    return [level for level in (tops, parents, chances) if level.shape[1] > 1]


def simulated(design: Design, n: int, seed: int) -> dict[str, float]:
    """Per cent, over `n` draws."""
    rng, world = np.random.default_rng(seed), World(design)
    drawn = [world.draw(rng) for _ in range(n)]
    found = [one for one in drawn if one is not None]
    truth = np.array([one[1] for one in found])
    low, said, high = (
        np.array([getattr(one[0].expected, key) for one in found]) for key in ("low", "mean", "high")
    )
    shares = {
        "holds": ((low <= truth) & (truth <= high)).mean(),
        "reached": (truth >= design.accuracy).mean(),
        "refused": 1 - len(found) / n,
        "said": said.mean(),
        "true": truth.mean(),
        "width": (high - low).mean(),
        "answered": np.mean([one[2] for one in found]),
        "above": (truth > high).mean(),
        "below": (truth < low).mean(),
    }
    return {key: 100 * float(share) for key, share in shares.items()}


def main(argv: list[str] | None = None) -> None:
    made = parser(__doc__)
    made.add_argument("--simulations", type=int, default=1000)
    made.add_argument("--seed", type=int, default=0)
    made.add_argument("--only", default="", help="designs whose names hold this")
    args = made.parse_args(argv)
    rows = []
    with threadpool_limits(1):
        for name, design in DESIGNS.items():
            if args.only not in name:
                continue
            one = simulated(design, args.simulations, args.seed)
            print(
                f"{name}: holds {one['holds']:.1f} ({one['above']:.1f} above, {one['below']:.1f} below), "
                f"at least as asked {one['reached']:.1f}; "
                f"said {one['said']:.1f}, true {one['true']:.1f}, {one['width']:.1f} wide; answered "
                f"{one['answered']:.1f}, refused {one['refused']:.1f}",
                flush=True,
            )
            rows.append(figure(f"{name}: the interval holds", one["holds"], "%", at_least=93.0))
            rows.append(figure(f"{name}: right as often as asked", one["reached"], "%", at_least=95.0))
    report("answers", rows, args.json)


if __name__ == "__main__":
    main()
