"""Text of strangers (names in files, of files) made inert: it is shown, and does nothing in a terminal or a page."""

import re
import unicodedata

#: Joiners inside words of Persian or Hindi, and inside emoji.
JOINERS = "\u200c\u200d"
#: What Markdown makes something of, and how it stands there as itself.
MARKS = {ord(mark): f"&#{ord(mark)};" for mark in "\\*[]~$@|"} | {ord("&"): "&amp;", ord("<"): "&lt;", ord("`"): "'"}
#: Addresses that Markdown makes links of without any mark.
ADDRESSES = re.compile(r"(?i)(://|\bwww\.|\bmailto:|\bxmpp:)")


def printable(text: str, *, keep: str = "") -> str:
    """Text on one line, in UTF-8: what moves a cursor, reorders or hides text is written as its number.

    That is all but letters, signs, spaces and what is to be kept.
    """
    if text.isprintable():  # as nearly all is
        return text
    return "".join(c if _harmless(c) or c in keep else ascii(c)[1:-1] for c in text)


def in_markdown(text: str) -> str:
    """Text inside a line of Markdown or a cell of a table: no images, links, tags, code, mentions or formulas."""
    flat = printable(" ".join(text.split())).translate(MARKS)
    return ADDRESSES.sub(lambda found: f"{found[1][:-1]}&#{ord(found[1][-1])};", flat)


def in_code(text: str) -> str:
    """Text between two backquotes of Markdown, where marks are no marks."""
    return printable(" ".join(text.split())).replace("`", "'").replace("|", "/")


def _harmless(letter: str) -> bool:
    return letter.isprintable() or letter in JOINERS or unicodedata.category(letter) == "Zs"
