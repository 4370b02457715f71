"""What is said of differences between features and heads, and of what may be claimed from them."""

from collections.abc import Mapping, Sequence
from typing import Any

from evaluate.provenance import Features, FoldFacts
from evaluate.report.words import agree, listed, percent, points_in_words, sentence
from evaluate.statistics.differences import PairComparison
from featurize.imported import is_imported

# Simulated in tests/benchmarks/statistics_simulation.py and verdicts_by_folds.py.
AHEAD_IS_NO_CLAIM = (
    "'Is ahead' is no claim: of 100 tables without any difference 4 say it of two heads, 9 of six pairs of features "
    "and head, and 20 of four equally good heads."
)
# Which of the numbers of a difference answers what; one fold knows nothing of heads trained on other photos.
WHAT_DECIDES = (
    "The interval is over photos: how large the difference would be on other photos, with these heads. The p value and "
    "the probabilities are over folds: whether heads trained on other photos would show it too. The verdict needs "
    "both: *beats* is an interval above 0 and a corrected p below 0.05, *is ahead* the interval alone."
)
WHAT_DECIDES_ONE_FOLD = (
    "The interval is over photos, the p value and the probabilities over the groups tested, all with these heads. The "
    "interval decides the verdict: *is ahead* is one above 0."
)
LIKELY = 0.9  # so probable a difference reads like a claim where there is none
# Families of `featurize.extractors` that describe texture and colour: parts of the one that has all of it.
WEAK_TEXTURES, STRONG_TEXTURE = ("glcm", "lbp", "color"), "texture"


def differences_in_words(pairs: Sequence[PairComparison], beside: FoldFacts | None = None) -> list[str]:
    """A sentence for each comparison, and what *is ahead* means where one says it.

    Short ones where a table stands `beside` them, of comparisons on these folds: its probabilities are not said again.
    """
    said = [
        sentence(pair.words if beside is None else difference_in_words(pair, beside, with_chances=False))
        for pair in pairs
    ]
    ahead = any(pair.verdict == "ahead" for pair in pairs)
    if beside is not None:
        return said + [AHEAD_IS_NO_CLAIM] * ahead
    if ahead or any(pair.verdict == "undecided" and pair.probability.better >= LIKELY for pair in pairs):
        said.append(WHAT_DECIDES.replace("*", "'"))
    return said + [AHEAD_IS_NO_CLAIM] * ahead


def what_decides(one_fold: bool) -> str:
    """Which number of a difference answers which question, and which of them decides the verdict."""
    return WHAT_DECIDES_ONE_FOLD if one_fold else WHAT_DECIDES


def difference_in_words(
    pair: PairComparison, folds: FoldFacts | None = None, with_chances: bool = True
) -> str:
    """Who beats whom by how many points, or that they cannot be told apart; and how probable it is.

    ``inception_v3 (svm) beats glcm (mlp) by 31 points (27 to 35)``. The three probabilities follow where they are
    wanted, unless one of them is 99 % and says the same again.
    """
    if pair.compares == "features":
        (first, second), where = (f"{side.features} ({side.head})" for side in (pair.one, pair.other)), ""
    else:
        first, second, where = pair.one.head, pair.other.head, f"on {pair.one.features}, "
    if pair.base_rate is not None and folds:
        second += (
            f", counted as always answering {folds.base_rate.label} ({percent(pair.base_rate)} % right),"
        )
    span, chances = points_in_words(pair.difference, pair.low, pair.high), pair.probability
    counted = ""
    if pair.same_in_every_fold:
        counted = f" (the same in every {'group tested' if folds and folds.one else 'fold'}, so photos were counted)"
    if pair.verdict == "beats" and chances.better >= 0.99:
        return f"{where}{first} beats {second} by {span}{counted}"
    odds = (
        f"; {100 * chances.better:.0f} % probability that the first is better by more than {pair.rope:g} "
        f"point{'s' * (pair.rope != 1)}, {100 * chances.same:.0f} % that neither is, {100 * chances.worse:.0f} % that "
        f"the second is{counted}"
    )
    if not with_chances:
        odds = counted
    if pair.verdict == "beats":
        return f"{where}{first} beats {second} by {span}{odds}"
    if pair.high < 0:
        return f"{where}{first} is not better than {second}: the difference is {span}{odds}"
    if pair.verdict == "undecided":
        return f"{where}{first} and {second} cannot be told apart: the difference is {span}{odds}"
    # Alone it would do; among many questions one such answer is to be expected from luck.
    alone = pair.p_value < 0.05 <= pair.p_holm
    why = f"among {pair.family} comparisons" if alone else "for other training photos"
    if folds and folds.base_rate.one_label:
        why = "by folds that test one label alone"
    return f"{where}{first} is ahead of {second} on these photos by {span}, not settled {why}{odds}"


def is_whole(entry: Mapping[str, Any] | None, family: str) -> bool:
    """Whether a column is of that family, and of the whole photo: its border or centre alone is a control."""
    params = (entry or {}).get("params") or {}
    return (entry or {}).get("family") == family and not params.get("region")


def weak_opponent_in_words(features: Features, held: Features) -> str:
    """That a network is compared with weak texture alone, and which texture is stronger; empty where it is not so.

    `features` are those compared, `held` those of the table.
    """
    families = {part: (entry or {}).get("family") for part, entry in features.items()}
    networks = [
        part for part, entry in features.items() if (entry or {}).get("weights") or is_imported(entry)
    ]
    weak = [part for part, family in families.items() if family in WEAK_TEXTURES]
    if not networks or not weak or any(is_whole(entry, STRONG_TEXTURE) for entry in features.values()):
        return ""
    columns = [part for part, entry in held.items() if is_whole(entry, STRONG_TEXTURE)]
    to_do = (
        f"add {columns[0]} to --features"
        if columns
        else "`featurize extract SOURCE --features … texture` makes it"
    )
    are = agree(len(networks), "is", "are")
    return (
        f"{listed(networks)} {are} compared with {listed(weak)} alone; `{STRONG_TEXTURE}` is the stronger opponent "
        f"({to_do})"
    )
