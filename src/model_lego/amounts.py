"""Amounts as they are shown."""


def short(number: float) -> str:
    """A count to three digits: 12.3k, 4.56M."""
    for unit in ("", "k", "M", "G"):
        if number < 999.5:
            return f"{number:.3g}{unit}"
        number /= 1000
    return f"{number:.3g}T"
