"""Choose how probable an answer in a tree of labels must be, so that a stated share of answers is right."""

from collections.abc import Sequence

import numpy as np

from classify.model.answers import AnswerRule
from classify.model.model import ExpectedShare
from classify.shares import answers_share
from classify.taxonomy import Taxonomy
from featurize.errors import UsageError

CANDIDATES = 100  # thresholds that are tried at most
FEWEST = 0.25  # of the photos, that the first threshold tried must answer


def choose_answers(
    label: Sequence[str] | np.ndarray,
    probabilities: np.ndarray,
    taxonomy: Taxonomy,
    accuracy: float = 0.95,
    groups: np.ndarray | None = None,
) -> AnswerRule:
    """The lowest threshold that promises so many right answers, and what to expect of them on new photos.

    What these photos show of a threshold that they chose flatters. So thresholds are tried one after the other, from
    high to low, for as long as the lower end of the 95 % interval of right answers stays at `accuracy` or above; the
    last one is taken (fixed-sequence testing, the way of "Learn then Test" [1]_). Which ones are tried follows from the
    probabilities alone, not from the labels. The lower end is never above the exact binomial bound, so that of
    independent photos judged by one head at most one choice in 40 is right less often than was asked for, however few
    the photos are; see `classify.shares.answers_share` for the interval.

    An answer is right where it holds the label. That of the top of the tree, which holds every label, says nothing: it
    counts neither as right nor as wrong.

    Parameters
    ----------
    label : sequence of str, shape (n_photos,)
        The true labels.
    probabilities : array of shape (n_photos, n_labels)
        From heads that had not seen the photo; columns in the order of ``taxonomy.labels``.
    taxonomy : Taxonomy
    accuracy : float
        The share of answers that shall be right.
    groups : array of int, optional
        Photos with equal numbers belong together and tell less than as many others; by default each stands alone.

    Raises
    ------
    UsageError
        If no threshold promises it.

    References
    ----------
    .. [1] A. Angelopoulos, S. Bates, E. Candès, M. Jordan, L. Lei, "Learn then Test: calibrating predictive algorithms
       to achieve risk control", https://doi.org/10.48550/arXiv.2110.01052; of answers that may be refused: Y. Geifman,
       R. El-Yaniv, "Selective classification for deep neural networks", https://doi.org/10.48550/arXiv.1705.08500

    Examples
    --------
    >>> tree = Taxonomy({"tea rose": "rose", "dog rose": "rose", "tulip": ""}, ["dog rose", "tea rose", "tulip"])
    >>> chances = np.tile([[0.6, 0.4, 0.0], [0.4, 0.6, 0.0], [0.05, 0.05, 0.9]], (100, 1))
    >>> rule = choose_answers(["dog rose", "dog rose", "tulip"] * 100, chances, tree, 0.9)
    >>> rule.threshold, rule.answers(chances[:3]).name, round(rule.expected.low, 2)
    (0.9, ['rose', 'rose', 'tulip'], 0.98)
    """
    check_accuracy(accuracy)
    places = {name: place for place, name in enumerate(taxonomy.labels)}
    truth = np.array([places[str(name)] for name in label])
    together = np.arange(len(truth)) if groups is None else np.asarray(groups)
    nodes, chances = taxonomy.paths(probabilities)
    answered = chances[:, 1]  # up to which threshold a photo gets an answer, and up to which a wrong one
    right = taxonomy.holds[np.maximum(nodes, 0), truth[:, None]]
    wrong = np.where(right, -1.0, chances).max(axis=1)
    known = np.unique(chances[:, 1:][nodes[:, 1:] >= 0])
    tried = known[np.linspace(len(known) - 1, 0, min(CANDIDATES, len(known))).round().astype(int)]
    chosen, best, promise = None, 0.0, (0.0, 0.0, 0.0)
    for threshold in tried.tolist():
        some = answered >= threshold
        if chosen is None and (some.mean() < FEWEST or _at_best(together[some]) < accuracy):
            continue  # nothing is known of the labels yet
        found = answers_share(wrong[some] < threshold, together[some])
        best = max(best, found[1])
        if found[1] < accuracy:
            break
        chosen, promise = threshold, found
    if chosen is None:
        n_groups = len(np.unique(together))
        what = f"no probability promises that {100 * accuracy:g} % of answers are right"
        why = f"{n_groups} groups of photos" if n_groups < len(truth) else f"{n_groups} photos"
        why += " are too few, even if all answers were right"
        if best > 0:
            why = f"of the surest answers {100 * best:.1f} % are sure to be right"
        less = np.floor(100 * (best or _at_best(together))) / 100
        ask = f"ask for less (--answer-accuracy {less:g}), " if less > 0 else ""
        raise UsageError(f"{what}: {why}", f"{ask}add photos, or use another head")
    level = np.maximum((chances >= chosen).sum(axis=1) - 1, 0)
    given = nodes[np.arange(len(nodes)), level]
    n_labels = int(np.isin(given, taxonomy.node_of).sum())
    n_answers = int((answered >= chosen).sum())
    expected = ExpectedShare(*promise)
    return AnswerRule(taxonomy, chosen, accuracy, expected, len(truth), n_answers, n_labels)


def check_accuracy(accuracy: float) -> None:
    """Refuse what is no share to promise."""
    if not 0 < accuracy < 1:
        hint = "give a share above 0 and below 1, for example --answer-accuracy 0.95"
        raise UsageError(f"an accuracy of {accuracy:g} cannot be promised", hint)


def _at_best(groups: np.ndarray) -> float:
    """The lower end of the interval of right answers, if all were right."""
    return answers_share(np.ones(len(groups)), groups)[1]
