"""Text in columns, as wide as a terminal shows it."""

from unicodedata import combining, east_asian_width


def columns_taken(text: str) -> int:
    """How wide a terminal shows `text`: a Chinese character takes two columns, a combining accent none.

    >>> columns_taken("雛菊"), columns_taken("Gänse")
    (4, 5)
    """
    return sum(2 if east_asian_width(one) in "WF" else not combining(one) for one in text)


def padded(text: str, width: int) -> str:
    """`text` with blanks behind it, up to `width` columns.

    >>> padded("雛菊", 6) + "|"
    '雛菊  |'
    """
    return text + " " * (width - columns_taken(text))
