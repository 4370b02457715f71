"""Simulates what is claimed of operating points and rankings: what new photos bring, and what the intervals hold.

Run ``python tests/benchmarks/operating_points.py`` (three minutes of one core; ``--simulations 200`` for a look). The
figures stand in evaluate/README.md.

Two labels lie apart in 20 numbers; the head is a logistic regression, whose sensitivity, specificity, ROC AUC and
average precision on new photos are known exactly. In groups, photos share half of what varies; a group has one label or
both. The aim is that a 95 % interval holds the truth at least 93 times in 100: that of the model of the draw for
thresholds and test sets, and for cross-validation that of heads trained on as many other photos.
"""

import numpy as np
from figures import figure, parser, report
from scipy.special import expit
from scipy.stats import norm
from threadpoolctl import threadpool_limits

from classify.folds import make_folds
from classify.training.thresholds import choose_threshold
from evaluate.statistics.intervals import score_intervals

WIDTH, N_FOLDS, NEWTON = 20, 5, 8
LABELS = ["ill", "well"]
# Photos of the label to be found, of the other, of a group; whether a group has one label; AUC of a perfect head.
DESIGNS = {
    "40 and 160 photos": (40, 160, 1, True, 0.95),
    "40 and 160 photos, harder": (40, 160, 1, True, 0.85),
    "12 and 120 photos": (12, 120, 1, True, 0.95),
    "200 and 200 photos": (200, 200, 1, True, 0.95),
    "100 and 300 photos, groups of 5 of one label": (100, 300, 5, True, 0.95),
    "100 and 300 photos, groups of 5 of both labels": (100, 300, 5, False, 0.95),
    "100 and 300 photos, groups of 10 of one label": (100, 300, 10, True, 0.95),
}
RULES = ("recall=0.95", "specificity=0.95", "precision=0.8", "costs")
SHOWN = ("sensitivity", "specificity", "roc_auc", "average_precision")


class Design:
    """Labels and groups of photos, folds of them, and vectors that are drawn anew."""

    def __init__(self, n_ill: int, n_well: int, size: int, one_label: bool, auc: float):
        self.ill = np.arange(n_ill + n_well) < n_ill
        if not one_label:
            self.ill = np.random.default_rng(5).permutation(self.ill)
        self.group = np.arange(n_ill + n_well) // size
        self.label = np.where(self.ill, *LABELS)
        self.fold = np.zeros(len(self.ill), dtype=np.int64)
        for fold in make_folds(self.label, self.group, n_folds=N_FOLDS, seed=0):
            self.fold[fold.testing] = fold.fold
        self.shared = 0.5 if size > 1 else 0.0
        self.mean = np.full(WIDTH, norm.ppf(auc) * (2 / WIDTH) ** 0.5)

    def draw(self, rng: np.random.Generator, n: int) -> np.ndarray:
        """Vectors of all photos, shape (n, photos, numbers)."""
        own = rng.normal(size=(n, len(self.ill), WIDTH)) * (1 - self.shared) ** 0.5
        together = rng.normal(size=(n, self.group[-1] + 1, WIDTH))[:, self.group] * self.shared**0.5
        return own + together + self.ill[:, None] * self.mean

    def truth(self, w: np.ndarray, threshold: np.ndarray | float) -> dict[str, np.ndarray]:
        """What heads, of shape (n, numbers + 1), do on new photos, from a probability of this logit on."""
        length = np.linalg.norm(w[:, :-1], axis=1)
        apart = w[:, :-1] @ self.mean / length
        cut = (threshold - w[:, -1]) / length
        found = {"sensitivity": norm.sf(cut - apart), "specificity": norm.cdf(cut)}
        return found | {
            "roc_auc": norm.cdf(apart / 2**0.5),
            "average_precision": self.average_precision(apart),
        }

    def average_precision(self, apart: np.ndarray, n: int = 2000) -> np.ndarray:
        """By quadrature over the photos of the label, for normal scores that lie so far apart."""
        share, normal = self.ill.mean(), norm.ppf((np.arange(n) + 0.5) / n)
        grid = np.linspace(0, apart.max() + 0.01, 100)
        own, others = norm.sf(normal), norm.sf(normal + grid[:, None])
        known = (share * own / (share * own + (1 - share) * others)).mean(axis=1)
        return np.interp(apart, grid, known)


def fitted(X: np.ndarray, y: np.ndarray) -> np.ndarray:
    """A logistic regression per draw, with a penalty of 1, by Newton's method: shape (n, numbers + 1)."""
    X = np.concatenate([X, np.ones((*X.shape[:2], 1))], axis=2)
    w, penalty = np.zeros((len(X), X.shape[2])), np.diag([1.0] * WIDTH + [1e-9])
    for _ in range(NEWTON):
        p = expit(np.matmul(X, w[:, :, None])[:, :, 0])
        slope = np.matmul((p - y)[:, None, :], X)[:, 0] + w @ penalty
        bend = np.matmul(X.transpose(0, 2, 1) * (p * (1 - p))[:, None, :], X) + penalty
        w = w - np.linalg.solve(bend, slope[:, :, None])[:, :, 0]
    return w


def logits(X: np.ndarray, w: np.ndarray) -> np.ndarray:
    return np.matmul(X, w[:, :-1, None])[:, :, 0] + w[:, -1:]


def of_test_sets(design: Design, rng: np.random.Generator, n: int) -> list[tuple]:
    """One head per draw, trained on other photos: the intervals of `evaluate test`."""
    w = fitted(design.draw(rng, n), design.ill)
    return _intervals(design, logits(design.draw(rng, n), w), design.truth(w, 0.0), 0)


def of_cross_validation(design: Design, rng: np.random.Generator, n: int) -> list[tuple]:
    """The intervals of `evaluate compare`."""
    score, heads = _out_of_fold(design, design.draw(rng, n))
    each = [design.truth(w, 0.0) for w in heads]
    truth = {name: np.full(n, np.mean([one[name] for one in each])) for name in each[0]}
    return _intervals(design, score, truth, N_FOLDS)


def _out_of_fold(design: Design, X: np.ndarray) -> tuple[np.ndarray, list[np.ndarray]]:
    score, heads = np.zeros(X.shape[:2]), []
    for fold in range(N_FOLDS):
        tested = design.fold == fold
        heads.append(fitted(X[:, ~tested], design.ill[~tested]))
        score[:, tested] = logits(X[:, tested], heads[-1])
    return score, heads


def _intervals(design: Design, score: np.ndarray, truth: dict[str, np.ndarray], n_folds: int) -> list[tuple]:
    found, photo = [], np.arange(len(design.ill))
    for number, one in enumerate(score):
        p = expit(one)
        predicted = np.where(one >= 0, *LABELS)
        given = (design.label, predicted, np.stack([p, 1 - p], axis=1), LABELS, photo, design.group)
        intervals = score_intervals(*given, n_folds=n_folds, positive="ill")
        known = {**intervals.positive, **intervals.one_vs_rest["ill"]}
        found += [(name, known[name], truth[name][number]) for name in SHOWN]
    return found


def of_thresholds(rule: str, design: Design, rng: np.random.Generator, n: int) -> list[tuple]:
    """What `classify train --threshold` promises of the model that is trained on all photos."""
    X = design.draw(rng, n)
    score, _ = _out_of_fold(design, X)
    w = fitted(X, design.ill)
    costs = {("ill", "well"): 10.0, ("well", "ill"): 1.0}
    found = []
    for number, one in enumerate(score):
        p = expit(one)
        chances = np.stack([p, 1 - p], axis=1)
        given = (design.label, chances, LABELS, "ill", costs if rule == "costs" else rule, design.group)
        point = choose_threshold(*given)
        at = np.log(point.threshold) - np.log1p(-point.threshold)
        truth = design.truth(w[[number]], at)
        for name in ("sensitivity", "specificity"):
            found.append((name, getattr(point.expected, name), truth[name][0], getattr(point, name)))
    return found


def summary(found: list[tuple]) -> dict[str, dict[str, float]]:
    """By score: how often the interval holds the truth, the mean of what is said and of the truth, per cent."""
    rows = {}
    for name in dict.fromkeys(one[0] for one in found):
        own = [one for one in found if one[0] == name]
        rows[name] = {
            "holds": 100 * np.mean([i.low <= truth <= i.high for _, i, truth, *_ in own]),
            "said": 100 * np.mean([one[1].mean for one in own]),
            "true": 100 * np.mean([one[2] for one in own]),
            "width": 100 * np.mean([one[1].high - one[1].low for one in own]),
        }
        if len(own[0]) > 3:
            rows[name]["chosen"] = 100 * np.mean([one[3] for one in own])
    return rows


def main(argv: list[str] | None = None) -> None:
    made = parser(__doc__)
    made.add_argument("--simulations", type=int, default=1000)
    made.add_argument("--seed", type=int, default=0)
    args = made.parse_args(argv)
    rng, rows = np.random.default_rng(args.seed), []
    tasks = [(f"{kind}: {name}", run, name) for name in DESIGNS for kind, run in
             (("test set", of_test_sets), ("5 folds", of_cross_validation))]  # fmt: skip
    for rule in RULES:
        names = DESIGNS if rule == RULES[0] else list(DESIGNS)[:1]
        tasks += [
            (f"{rule}: {name}", lambda *given, rule=rule: of_thresholds(rule, *given), name) for name in names
        ]
    with threadpool_limits(1):
        for title, run, name in tasks:
            found = summary(run(Design(*DESIGNS[name]), rng, args.simulations))
            for score, one in found.items():
                chosen = f", on the photos that chose it {one['chosen']:.1f}" if "chosen" in one else ""
                said = f"said {one['said']:.1f}, true {one['true']:.1f}, interval {one['width']:.1f} wide{chosen}"
                print(f"{title}, {score}: holds {one['holds']:.1f}; {said}", flush=True)
                rows.append(figure(f"{title}, {score}: the interval holds", one["holds"], "%", at_least=93.0))
    report("operating_points", rows, args.json)


if __name__ == "__main__":
    main()
