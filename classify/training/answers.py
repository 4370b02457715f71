"""Choose how probable an answer in a tree of labels must be, so that a stated share of answers is right."""

from collections.abc import Sequence

import numpy as np

from classify.model.answers import AnswerRule
from classify.model.model import ExpectedShare
from classify.shares import Answered, answers_share, sure_share
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
    *,
    n_folds: int = 0,
    halves: np.ndarray | None = None,
) -> AnswerRule:
    """The lowest threshold that promises so many right answers, and what to expect of them on new photos.

    What these photos show of a threshold that they chose flatters. So thresholds are tried one after the other, from
    high to low, for as long as the lower end of the 95 % interval of right answers stays at `accuracy` or above; the
    last one is taken (fixed-sequence testing, the way of "Learn then Test" [1]_). Which ones are tried follows from the
    probabilities alone, not from the labels. The lower end is the exact binomial bound, so that of independent photos
    judged by one head at most one choice in 40 is right less often than was asked for, however few the photos are.

    The model that answers is trained on more photos than the heads that judged these, and is better.
    `classify.shares.answers_share` says what to expect of it, and how sure that is.

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
    n_folds : int
        How many folds the heads had that gave `probabilities`.
    halves : array of shape (n_photos, n_labels), optional
        Probabilities of the same photos, from heads trained on half of them: the difference tells what more photos
        bring.

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
    (0.9, ['rose', 'rose', 'tulip'], 0.99)
    """
    check_accuracy(accuracy)
    places = {name: place for place, name in enumerate(taxonomy.labels)}
    truth = np.array([places[str(name)] for name in label])
    together = np.arange(len(truth)) if groups is None else np.asarray(groups)
    n_groups = len(np.unique(together))
    alone = n_groups == len(truth)
    nodes, chances = taxonomy.paths(probabilities)
    answered, wrong = _up_to(taxonomy, nodes, chances, truth)
    known = np.unique(chances[:, 1:][nodes[:, 1:] >= 0])
    tried = known[np.linspace(len(known) - 1, 0, min(CANDIDATES, len(known))).round().astype(int)]
    chosen, best, sure = None, 0.0, 0.0
    for threshold in tried.tolist():
        some = answered >= threshold
        own = None if alone else together[some]
        if chosen is None and (some.mean() < FEWEST or sure_share(np.ones(some.sum()), own) < accuracy):
            continue  # nothing is known of the labels yet
        found = sure_share(wrong[some] < threshold, own)
        best = max(best, found)
        if found < accuracy:
            break
        chosen, sure = threshold, found
    if chosen is None:
        what = f"no probability promises that {100 * accuracy:g} % of answers are right"
        why = f"{n_groups} groups of photos" if not alone else f"{n_groups} photos"
        why += " are too few, even if all answers were right"
        if best > 0:
            why = f"of the surest answers {100 * best:.1f} % are sure to be right"
        less = np.floor(100 * (best or sure_share(np.ones(len(truth)), together))) / 100
        ask = f"ask for less (--answer-accuracy {less:g}), " if less > 0 else ""
        raise UsageError(f"{what}: {why}", f"{ask}add photos, or use another head")
    level = np.maximum((chances >= chosen).sum(axis=1) - 1, 0)
    given = nodes[np.arange(len(nodes)), level]
    n_labels = int(np.isin(given, taxonomy.node_of).sum())
    n_answers = int((answered >= chosen).sum())
    fewer = None
    if halves is not None:
        fewer = _answered(*_up_to(taxonomy, *taxonomy.paths(halves), truth), chosen)
    share, low, high = answers_share(_answered(answered, wrong, chosen), together, n_folds, fewer)
    expected = ExpectedShare(share, max(low, sure), high)
    return AnswerRule(taxonomy, chosen, accuracy, expected, len(truth), n_answers, n_labels)


def check_accuracy(accuracy: float) -> None:
    """Refuse what is no share to promise."""
    if not 0 < accuracy < 1:
        hint = "give a share above 0 and below 1, for example --answer-accuracy 0.95"
        raise UsageError(f"an accuracy of {accuracy:g} cannot be promised", hint)


def _up_to(
    taxonomy: Taxonomy, nodes: np.ndarray, chances: np.ndarray, truth: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Up to which threshold each photo gets an answer, and up to which a wrong one."""
    right = taxonomy.holds[np.maximum(nodes, 0), truth[:, None]]
    return chances[:, 1], np.where(right, -1.0, chances).max(axis=1)


def _answered(answered: np.ndarray, wrong: np.ndarray, threshold: float) -> Answered:
    some = answered >= threshold
    return Answered(some.astype(np.float64), (some & (wrong < threshold)).astype(np.float64))
