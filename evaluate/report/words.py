"""Words and numbers as every text of ours writes them: counts with their nouns, shares, intervals, lists."""

from collections.abc import Iterable, Sequence

from evaluate.statistics.intervals import Interval

NAMED_AT_MOST = 10  # of a list that may be long


def count(number: int, noun: str, form: str = "") -> str:
    """``1 photo``, ``2 photos``; with `form` ``","`` also ``3,670 photos``."""
    return f"{number:{form}} {noun}{agree(number, '', 's')}"


def agree(number: int, one: str, several: str) -> str:
    """`one` for 1, else `several`: ``agree(n, "is", "are")``."""
    return one if number == 1 else several


def listed(words: Sequence[str]) -> str:
    """``a``, ``a and b``, ``a, b and c``."""
    return " and ".join(filter(None, [", ".join(words[:-1]), *words[-1:]]))


def percent(share: float) -> str:
    """A share as a percentage with one decimal: 0.9083 is ``90.8``."""
    return f"{100 * share:.1f}"


def n_photos(number: float) -> str:
    """How many photos, with one decimal where repeats count them in parts: ``12``, ``12.5``."""
    return f"{number:.0f}" if number == round(number) else f"{number:.1f}"


def number(value: float | None) -> str:
    """Three decimals, or ``unknown``."""
    return "unknown" if value is None else f"{value:.3f}"


def interval_in_words(interval: Interval) -> str:
    """``90.8 % (88.1 to 93.5)``."""
    return f"{percent(interval.mean)} % ({percent(interval.low)} to {percent(interval.high)})"


def points_in_words(difference: float, low: float, high: float) -> str:
    """``31 points (27 to 35)``; with more decimals below ten points, or where an end would look like 0 and is not."""
    ends = [abs(end) for end in (low, high) if abs(end) >= 0.00001]
    digits = 0 if abs(difference) >= 0.0995 else 1
    while ends and 100 * min(ends) < 0.5 / 10**digits:
        digits += 1
    middle, *ends_as_text = (
        f"{round(100 * share, digits) + 0.0:.{digits}f}" for share in (difference, low, high)
    )
    return f"{middle} points ({ends_as_text[0]} to {ends_as_text[1]})"


def sentence(words: str) -> str:
    """With a capital where the first word is ours (a name keeps its own spelling) and a full stop."""
    return ("On" + words[2:] if words.startswith("on ") else words) + "."


def one_a_line(sentences: Iterable[str]) -> str:
    """Sentences below each other, names in them printable."""
    from featurize.terminal import printable

    return "\n".join(map(printable, sentences))
