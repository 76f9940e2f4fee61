"""Amounts as they are shown."""


def short(number: float) -> str:
    """A count to three digits: 12.3k, 4.56M."""
    for unit in ("", "k", "M", "G"):
        if number < 999.5:
            return f"{number:.3g}{unit}"
        number /= 1000
    return f"{number:.3g}T"


def in_words(limit: float | str) -> str:
    """A limit as it is written: a number, or text such as a time.

    >>> in_words(0.5), in_words("3ms")
    ('0.5', '3ms')
    """
    return limit if isinstance(limit, str) else f"{limit:g}"
