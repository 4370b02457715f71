"""Do the intervals hold the truth, and do the tests cry wolf? Simulated on data whose truth is known.

    python tests/benchmarks/statistics_simulation.py [--simulations 1000] [--seed 0]

Images are points of two normal distributions, heads are logistic regressions in 5 folds, so the true accuracy of
every trained head is exact. The truth that an interval should hold is the expected accuracy of a head trained on as
many images as a fold has. Under the null, features are made alike, so that no head is better than another.

Aims: intervals hold the truth 95 +/- 2 times in 100, and at most 5 of 100 comparisons without a difference (or of 100
families of comparisons) say that one beats another. The standard error of 1,000 simulations is 0.7.

Measured (1,000 simulations, 4,000 for test sets; per cent):

    test set                              interval holds
      50 images, groups of  1, 90% right       97.1
     200 images, groups of  1, 90% right       95.6
     200 images, groups of  1, 97% right       95.0
     200 images, groups of  5, 90% right       94.4
     600 images, groups of 10, 90% right       93.7

    folds                      interval  difference    p < 0.05  Holm, best     McNemar  > 95 % one
                                  holds       holds                  of all              is better
    one          60 images             98.3
    one         200 images             99.0
    one         600 images             98.6
    two alike    60 images             99.0        98.3         1.6         1.6         3.4         3.7
    two alike   200 images             97.7        98.1         1.9         1.9         4.3         2.4
    two alike   600 images             98.7        98.9         1.1         1.1         4.2         1.0
    four alike   60 images             98.3        98.5         1.5         3.3         4.0         3.4
    four alike  200 images             98.7        98.8         1.2         1.7         4.0         1.8
    four alike  600 images             98.9        98.1         1.9         2.3         5.3         1.5
    two unlike   60 images             97.2        98.0         5.4         5.4        17.1        10.5
    two unlike  200 images             97.8        99.1        15.3        15.3        51.7        22.5
    two unlike  600 images             98.6        97.4        46.1        46.1        94.5        56.7

On a test set the intervals hold what they promise. Over folds they hold the truth 97 to 99 times in 100: more often
than promised, for Nadeau and Bengio's correction reckons with heads that depend on their training set more than a
logistic regression on five numbers does. Without a difference, 1 to 2 comparisons in 100 are said to be one, and 2 to
3 families of three after Holm's correction (the best is chosen first, which costs a little). The last three rows
have a difference, and there the share is the power: McNemar's test finds it far more often, because it asks only about
these heads as trained, not about heads trained on other images.
"""

import argparse
import warnings

import numpy as np
from scipy.stats import norm
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_limits

from classify.folds import Fold, make_folds
from evaluate.significance import bayesian_comparison, holm, mcnemar
from evaluate.statistics import cross_validated_interval, grouped_interval, paired_difference

WIDTH, FOLDS = 5, 5


def draw(rng: np.random.Generator, strengths: list[float], n: int) -> tuple[list[np.ndarray], np.ndarray]:
    """One matrix per strength, all telling of the same n images, and the labels."""
    y = np.arange(n) % 2
    side = (2 * y - 1)[:, None]
    return [rng.normal(size=(n, WIDTH)) + strength / WIDTH**0.5 * side for strength in strengths], y


def true_accuracy(head: LogisticRegression, strength: float) -> float:
    """Exact: the share of either normal distribution on its side of the plane."""
    w, b = head.coef_[0], float(head.intercept_[0])
    shift, scale = strength / WIDTH**0.5 * w.sum(), float(np.linalg.norm(w))
    return float((norm.cdf((shift + b) / scale) + norm.cdf((shift - b) / scale)) / 2)


def cross_validated(
    X: np.ndarray, y: np.ndarray, strength: float, folds: list[Fold]
) -> tuple[np.ndarray, float]:
    """Which images were predicted right, fold after fold, and the mean true accuracy of the heads."""
    right, truth = [], []
    for fold in folds:
        head = LogisticRegression().fit(X[fold.training], y[fold.training])
        right.append(head.predict(X[fold.testing]) == y[fold.testing])
        truth.append(true_accuracy(head, strength))
    return np.concatenate(right), float(np.mean(truth))


def of_folds(rng: np.random.Generator, strengths: list[float], n: int, simulations: int) -> dict:
    """Intervals, differences and verdicts of `simulations` cross-validations of all strengths."""
    found: dict[str, list] = {
        name: [] for name in ("truth", "intervals", "first", "family", "mcnemar", "sure")
    }
    for _ in range(simulations):
        matrices, y = draw(rng, strengths, n)
        folds = make_folds(y.astype(str), np.arange(n), n_folds=FOLDS, seed=int(rng.integers(2**31)))
        n_testing = np.array([len(fold.testing) for fold in folds])
        n_training = np.array([len(fold.training) for fold in folds])
        number = np.repeat(np.arange(len(folds)), n_testing)
        image = np.concatenate([fold.testing for fold in folds])
        outcome = [cross_validated(X, y, s, folds) for X, s in zip(matrices, strengths, strict=True)]
        accuracy = [np.bincount(number, right) / n_testing for right, _ in outcome]
        found["truth"].append([truth for _, truth in outcome])
        found["intervals"].append(cross_validated_interval(outcome[0][0], number, image, n_training))
        if len(strengths) < 2:
            continue
        found["first"].append(paired_difference(accuracy[0], accuracy[1], n_testing, n_training))
        verdict = bayesian_comparison(accuracy[0], accuracy[1], n_testing, n_training)
        found["sure"].append(max(verdict.worse, verdict.better) > 0.95)
        per_image = [np.bincount(image, right) > 0 for right, _ in outcome]
        found["mcnemar"].append(mcnemar(per_image[0], per_image[1])["p_value"])
        # As `compare` does: the best of all against each of the others.
        best = int(np.argmax([a.mean() for a in accuracy]))
        p_values = [
            paired_difference(accuracy[best], a, n_testing, n_training).p_value
            for i, a in enumerate(accuracy)
            if i != best
        ]
        found["family"].append(min(holm(p_values)))
    return found


def rate(values: list) -> str:
    return f"{100 * float(np.mean(values)):6.1f}"


def report_folds(rng: np.random.Generator, simulations: int) -> None:
    print("folds                     interval  difference  p < 0.05  Holm, best  McNemar   > 95 % one")
    print("                          holds     holds                 of all                 is better")
    cases = [("one", [1.0]), ("two alike", [1.0, 1.0]), ("four alike", [1.0] * 4), ("two unlike", [1.0, 0.7])]
    for name, strengths in cases:
        for n in (60, 200, 600):
            found = of_folds(rng, strengths, n, simulations)
            truth = np.mean(found["truth"], axis=0)
            held = [i.low <= truth[0] <= i.high for i in found["intervals"]]
            line = f"{name:10} {n:4} images     {rate(held)}"
            if len(strengths) > 1:
                gap = truth[0] - truth[1]
                line += f"      {rate([d.low <= gap <= d.high for d in found['first']])}"
                for values in (
                    [d.p_value < 0.05 for d in found["first"]],
                    [p < 0.05 for p in found["family"]],
                    [p < 0.05 for p in found["mcnemar"]],
                    found["sure"],
                ):
                    line += f"    {rate(values)}"
            print(line, flush=True)


def report_test_sets(rng: np.random.Generator, simulations: int) -> None:
    print("\ntest set                              interval holds")
    for n, size, share in ((50, 1, 0.9), (200, 1, 0.9), (200, 1, 0.97), (200, 5, 0.9), (600, 10, 0.9)):
        held = []
        for _ in range(simulations * 4):
            # Within a group half the images share one fate.
            fate = np.repeat(rng.random(n // size) < share, size)
            right = np.where(rng.random(n) < 0.5, fate, rng.random(n) < share)
            interval = grouped_interval(right, np.arange(n) // size)
            held.append(interval.low <= share <= interval.high)
        print(f"{n:4} images, groups of {size:2}, {share:.0%} right     {rate(held)}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--simulations", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    rng = np.random.default_rng(args.seed)
    with threadpool_limits(1), warnings.catch_warnings():
        warnings.simplefilter("error")
        report_test_sets(rng, args.simulations)
        report_folds(rng, args.simulations)


if __name__ == "__main__":
    main()
