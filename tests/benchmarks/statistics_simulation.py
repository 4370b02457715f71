"""Simulates what is claimed of the printed intervals and verdicts, on data whose truth is known.

Run ``python tests/benchmarks/statistics_simulation.py`` (some minutes; ``--simulations 200`` for a look).

Aims: printed intervals hold the truth 95 +/- 2 times in 100, and at most 5 of 100 comparisons without a difference (or
of 100 families of comparisons) say that one beats another. The standard error of 600 simulations is 0.9.

Two classes lie apart in 20 numbers; the head is a ridge regression, whose accuracy on new photos is known exactly. The
truth is the mean accuracy on new photos of the heads of one cross-validation ("these"), or of heads trained on as many
other photos ("any"). In groups of ten, photos share half of what varies.

Measured (600 simulations, 120 of registered heads, 1,500 to 2,400 of test sets; per cent):

test sets, the interval of `evaluate test`
    50 images, groups of  1, 90% right       97.5
   200 images, groups of  1, 90% right       94.9
   200 images, groups of  1, 97% right       93.5
   200 images, groups of  5, 90% right       96.2
   200 images, groups of 10, 90% right       94.5
   600 images, groups of 10, 90% right       94.3
verdicts: heads, photos        says beats   or ahead   p < 0.05   McNemar   > 95 % one is better
  2 alike,  100 photos         1.2       4.3       2.5       6.5       4.7
  2 alike,  300 photos         0.7       3.8       2.5       5.0       2.8
  2 alike,  750 photos         1.0       3.7       2.0       5.0       1.5
  4 alike,  100 photos         2.0      20.5       2.5       5.7       4.0
  4 alike,  300 photos         0.8      16.3       1.8       4.5       1.8
  2 unlike,  300 photos       12.0      27.3      13.7      42.5      17.7
two alike: photos, groups of, folds x repeats, right   accuracy: these    any   difference: these    any
   100 photos, groups of  1,  5 x 1, 70%       96.3   93.8       94.5   94.2
   100 photos, groups of  1,  5 x 1, 90%       96.0   96.2       95.0   94.8
   100 photos, groups of  1,  5 x 1, 97%       96.8   98.5       96.7   97.3
   300 photos, groups of  1,  5 x 1, 70%       95.2   93.2       95.5   94.5
   300 photos, groups of  1,  5 x 1, 90%       95.8   96.5       95.5   95.2
   300 photos, groups of  1,  5 x 1, 97%       95.3   95.7       96.3   96.3
   750 photos, groups of  1,  5 x 1, 70%       94.8   94.3       95.2   94.5
   750 photos, groups of  1,  5 x 1, 90%       95.7   96.0       96.5   95.5
   750 photos, groups of  1,  5 x 1, 97%       95.7   95.3       95.0   95.0
   300 photos, groups of  1, 10 x 1, 90%       96.7   97.0       95.8   96.5
   300 photos, groups of  1,  5 x 5, 90%       96.7   97.5       97.5   96.7
   300 photos, groups of 10,  5 x 1, 90%       95.8   95.3       97.2   96.5
   750 photos, groups of 10,  5 x 1, 90%       95.3   93.5       96.8   96.2
   750 photos, groups of 10,  5 x 5, 90%       98.3   96.7       96.7   96.7
seldom different: one of them without four of its numbers, or with a hundred times the penalty
   100 photos, fewer numbers                   96.0   97.3       97.5   97.3
   100 photos, more penalty                    95.3   95.0       97.2   96.2
   300 photos, fewer numbers                   96.3   96.0       96.7   96.5
   300 photos, more penalty                    95.5   96.0       95.3   95.0
   750 photos, fewer numbers                   94.5   92.8       96.7   96.0
   750 photos, more penalty                    95.7   95.0       95.0   95.3
five classes, 60 numbers, registered heads
   100 photos, softmax against svm             95.0   95.0      100.0  100.0
   300 photos, softmax against svm             95.0   91.7       94.2   95.0

"Ahead" speaks of these photos alone and is no claim: the best of four heads that are alike is ahead of one of the
others in every fifth family of comparisons, and beats one in every fiftieth.
"""

import warnings
from dataclasses import dataclass

import numpy as np
from figures import figure, parser, report
from scipy.stats import norm
from threadpoolctl import threadpool_limits

from classify.folds import make_folds
from classify.heads.registry import make_head
from evaluate.statistics.differences import bayesian_comparison, holm, mcnemar, paired_interval, verdict_of
from evaluate.statistics.intervals import cross_validated_interval, grouped_interval, paired_difference

WIDTH = 20


@dataclass
class Run:
    """One cross-validation of several heads: what each got right, and how right it truly is."""

    right: np.ndarray  # (heads, predictions)
    image: np.ndarray
    fold: np.ndarray
    group: np.ndarray
    n_testing: np.ndarray
    n_training: np.ndarray
    truth: np.ndarray  # (heads,)

    def interval(self, head: int):
        return cross_validated_interval(self.right[head], self.image, self.group, len(self.n_testing))

    def pair(self, one: int, other: int) -> dict:
        """As `evaluate.statistics.differences` makes it."""
        photos = paired_interval(
            self.right[one], self.right[other], self.image, self.group, len(self.n_testing)
        )
        accuracy = [np.bincount(self.fold, self.right[head]) / self.n_testing for head in (one, other)]
        folds = paired_difference(*accuracy, self.n_testing, self.n_training)
        verdict = bayesian_comparison(*accuracy, self.n_testing, self.n_training)
        constant = folds.low == folds.high
        return {
            "low": photos.low,
            "high": photos.high,
            "p_value": photos.p_value if constant else folds.p_value,
            "sure": max(verdict.worse, verdict.better) > 0.95,
        }


def run(rng, heads: list[tuple[float, float, int]], n: int, size: int, repeats: int, n_folds: int) -> Run:
    """Cross-validate one ridge per (accuracy, penalty, numbers used); different accuracies or equal, own numbers."""
    y = np.repeat(np.tile([-1, 1], n // size // 2 + 1)[: n // size], size)
    group, shared = np.arange(n) // size, 0.5**0.5 if size > 1 else 0.0
    matrices, means = [], []
    for accuracy, _, width in heads:
        mean = np.full(WIDTH, norm.ppf(accuracy) / WIDTH**0.5)
        own = rng.normal(size=(n, WIDTH)) * (1 - shared**2) ** 0.5
        X = own + shared * rng.normal(size=(n // size, WIDTH))[group] + y[:, None] * mean
        if width < WIDTH:  # the same photos as the head before, seen in part
            X = matrices[-1]
        matrices.append(X[:, :width])
        means.append(mean[:width])
    folds = make_folds(y.astype(str), group, n_folds=n_folds, repeats=repeats, seed=int(rng.integers(2**31)))
    right, truth = [], []
    for X, mean, (_, penalty, _) in zip(matrices, means, heads, strict=True):
        fits = [ridge(X[fold.training], y[fold.training], penalty) for fold in folds]
        right.append(
            np.concatenate(
                [
                    np.sign(X[fold.testing] @ w + b) == y[fold.testing]
                    for fold, (w, b) in zip(folds, fits, strict=True)
                ]
            )
        )
        truth.append(np.mean([true_accuracy(w, b, mean) for w, b in fits]))
    image = np.concatenate([fold.testing for fold in folds])
    n_testing = np.array([len(fold.testing) for fold in folds])
    n_training = np.array([len(fold.training) for fold in folds])
    number = np.repeat(np.arange(len(folds)), n_testing)
    return Run(np.array(right), image, number, group[image], n_testing, n_training, np.array(truth))


def ridge(X: np.ndarray, y: np.ndarray, penalty: float) -> tuple[np.ndarray, float]:
    centre, Z = X.mean(axis=0), X - X.mean(axis=0)
    w = np.linalg.solve(Z.T @ Z + penalty * np.eye(Z.shape[1]), Z.T @ (y - y.mean()))
    return w, float(y.mean() - centre @ w)


def true_accuracy(w: np.ndarray, b: float, mean: np.ndarray) -> float:
    """Exact: the share of either normal distribution on its side of the plane."""
    scale = np.linalg.norm(w)
    return float((norm.cdf((w @ mean + b) / scale) + norm.cdf((w @ mean - b) / scale)) / 2)


def rate(values) -> str:
    return f"{100 * float(np.mean(values)):6.1f}"


def held(intervals, truth) -> str:
    """How often the truth of these heads, and of any, lies inside."""
    truth = np.array(truth)
    these = [low <= one <= high for (low, high), one in zip(intervals, truth, strict=True)]
    any_heads = [low <= truth.mean() <= high for low, high in intervals]
    return f"{rate(these)} {rate(any_heads)}"


def report_intervals(rng: np.random.Generator, simulations: int) -> None:
    print(
        "two alike: photos, groups of, folds x repeats, right   accuracy: these    any   difference: these    any"
    )
    cells = [(n, 1, 5, 1, share) for n in (100, 300, 750) for share in (0.7, 0.9, 0.97)]
    cells += [
        (300, 1, 10, 1, 0.9),
        (300, 1, 5, 5, 0.9),
        (300, 10, 5, 1, 0.9),
        (750, 10, 5, 1, 0.9),
        (750, 10, 5, 5, 0.9),
    ]
    for n, size, n_folds, repeats, share in cells:
        heads = [(share, 1.0, WIDTH)] * 2
        runs = [run(rng, heads, n, size, repeats, n_folds) for _ in range(simulations // repeats)]
        print(
            line(runs, f"{n:4} photos, groups of {size:2}, {n_folds:2} x {repeats}, {share:.0%}"), flush=True
        )
    print("seldom different: one of them without four of its numbers, or with a hundred times the penalty")
    for n in (100, 300, 750):
        for heads in ([(0.9, 1.0, WIDTH), (0.9, 1.0, WIDTH - 4)], [(0.9, 1.0, WIDTH), (0.9, 100.0, WIDTH)]):
            runs = [run(rng, heads, n, 1, 1, 5) for _ in range(simulations)]
            print(
                line(runs, f"{n:4} photos, {'fewer numbers' if heads[1][1] == 1 else 'more penalty'}"),
                flush=True,
            )


def line(runs: list[Run], name: str) -> str:
    intervals, pairs = [one.interval(0) for one in runs], [one.pair(0, 1) for one in runs]
    accuracy = held([(i.low, i.high) for i in intervals], [one.truth[0] for one in runs])
    gap = held([(p["low"], p["high"]) for p in pairs], [one.truth[0] - one.truth[1] for one in runs])
    return f"  {name:42} {accuracy}     {gap}"


def report_real_heads(rng: np.random.Generator, simulations: int) -> None:
    """Registered heads on five classes in 60 numbers; the truth is measured on 4,000 more photos."""
    print("five classes, 60 numbers, registered heads")
    means = rng.normal(size=(5, WIDTH * 3)) * 0.45
    draw = lambda n: (means[np.arange(n) % 5] + rng.normal(size=(n, WIDTH * 3)), np.arange(n) % 5)  # noqa: E731
    X_new, y_new = draw(4000)
    for n in (100, 300):
        runs = []
        for _ in range(simulations):
            X, y = draw(n)
            folds = make_folds(y.astype(str), np.arange(n), n_folds=5, seed=int(rng.integers(2**31)))
            right, truth = [], []
            for name in ("softmax", "svm"):
                fits = [
                    make_head(name, widths=[WIDTH * 3]).fit(X[fold.training], y[fold.training])
                    for fold in folds
                ]
                tested = [fit.predict(X[fold.testing]) for fit, fold in zip(fits, folds, strict=True)]
                right.append(np.concatenate(tested) == np.concatenate([y[fold.testing] for fold in folds]))
                truth.append(np.mean([(fit.predict(X_new) == y_new).mean() for fit in fits]))
            image = np.concatenate([fold.testing for fold in folds])
            sizes = [
                np.array([len(side) for side in sides])
                for sides in ([f.testing for f in folds], [f.training for f in folds])
            ]
            number = np.repeat(np.arange(5), sizes[0])
            runs.append(Run(np.array(right), image, number, image, *sizes, np.array(truth)))
        print(line(runs, f"{n:4} photos, softmax against svm"), flush=True)


def report_verdicts(rng: np.random.Generator, simulations: int) -> list[dict]:
    rows = []
    print("verdicts: heads, photos        says beats   or ahead   p < 0.05   McNemar   > 95 % one is better")
    cases = (
        [(2, n, 0.9, 0.9) for n in (100, 300, 750)]
        + [(4, n, 0.9, 0.9) for n in (100, 300)]
        + [(2, 300, 0.9, 0.85)]
    )
    for n_heads, n, share, others in cases:
        beats, ahead, alone, counted, sure = [], [], [], [], []
        for _ in range(simulations):
            found = run(rng, [(share, 1.0, WIDTH)] + [(others, 1.0, WIDTH)] * (n_heads - 1), n, 1, 1, 5)
            order = np.argsort(
                -found.right.mean(axis=1), kind="stable"
            )  # as `compare`: the best against each
            pairs = [found.pair(int(order[0]), int(one)) for one in order[1:]]
            for pair, p_value in zip(pairs, holm([pair["p_value"] for pair in pairs]), strict=True):
                pair["verdict"] = verdict_of(pair["low"], pair["high"], p_value)
            beats.append(any(pair["verdict"] == "beats" for pair in pairs))
            ahead.append(any(pair["verdict"] == "ahead" for pair in pairs))
            first = found.pair(0, 1)
            alone.append(first["p_value"] < 0.05)
            sure.append(first["sure"])
            per_image = [right[np.argsort(found.image)] for right in found.right[:2]]
            counted.append(mcnemar(*per_image, np.arange(n)).p_value < 0.05)
        name = f"{n_heads} {'alike' if share == others else 'unlike'}, {n:4} photos"
        print(f"  {name:25} {'    '.join(map(rate, (beats, ahead, alone, counted, sure)))}", flush=True)
        if share == others:
            rows.append(
                figure(f"{name}: says that one beats another", 100 * np.mean(beats), "%", at_most=5.0)
            )
    return rows


def report_test_sets(rng: np.random.Generator, simulations: int) -> list[dict]:
    rows = []
    print("test sets, the interval of `evaluate test`")
    for n, size, share in (
        (50, 1, 0.9),
        (200, 1, 0.9),
        (200, 1, 0.97),
        (200, 5, 0.9),
        (200, 10, 0.9),
        (600, 10, 0.9),
    ):
        inside = []
        for _ in range(simulations * 4):
            # Within a group half the images share one fate.
            fate = np.repeat(rng.random(n // size) < share, size)
            right = np.where(rng.random(n) < 0.5, fate, rng.random(n) < share)
            interval = grouped_interval(right, np.arange(n) // size)
            inside.append(interval.low <= share <= interval.high)
        print(f"  {n:4} images, groups of {size:2}, {share:.0%} right     {rate(inside)}", flush=True)
        what = f"{n} images in groups of {size}, {share:.0%} right: the interval holds"
        rows.append(figure(what, 100 * np.mean(inside), "%", at_least=93.0))
    return rows


def main(argv: list[str] | None = None) -> None:
    made = parser(__doc__)
    made.add_argument("--simulations", type=int, default=600)
    made.add_argument("--seed", type=int, default=0)
    args = made.parse_args(argv)
    rng = np.random.default_rng(args.seed)
    with threadpool_limits(1), warnings.catch_warnings():
        warnings.simplefilter("error")
        rows = report_test_sets(rng, args.simulations)
        rows += report_verdicts(rng, args.simulations)
        report_intervals(rng, args.simulations)
        warnings.simplefilter("ignore")  # a head that has not converged is a head
        report_real_heads(rng, args.simulations // 5)
    report("statistics_simulation", rows, args.json)


if __name__ == "__main__":
    main()
