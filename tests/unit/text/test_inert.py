"""Names of strangers are shown, and do nothing where they are shown."""

from dataclasses import replace

import pytest
from torch import nn

from model_lego.cli import render
from model_lego.parts.component import Component
from model_lego.store import save
from model_lego.text.inert import in_code, in_markdown, printable
from tests.support.handmade_parts import origin

ESCAPES = "\x1b]0;title\x07\x1b[2J"
REVERSED = "cat\u202egnp.exe\u2066"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (ESCAPES, r"\x1b]0;title\x07\x1b[2J"),
        (REVERSED, r"cat\u202egnp.exe\u2066"),
        ("a\rb\nc\u2028d\x9b", r"a\rb\nc\u2028d\x9b"),
        ("\ud800 \U000e0041", r"\ud800 \U000e0041"),
        ("Käse 猫　犬 👩\u200d🔬 می\u200cخواهم [x] *", "Käse 猫　犬 👩\u200d🔬 می\u200cخواهم [x] *"),
    ],
)
def test_what_a_terminal_shows(text, shown):
    assert printable(text) == shown


def test_lines_that_are_kept():
    assert printable("a\n\tb\x1b", keep="\n\t") == "a\n\tb\\x1b"


@pytest.mark.parametrize(
    "text",
    [
        "![x](https://example.org/a.png)",
        "[x](javascript:alert)",
        "<img src=x>",
        "https://example.org",
        "HTTP://example.org",
        "www.example.org",
        "mailto:a@example.org",
        "a | b",
        "`code`",
        "**bold** ~~no~~",
        "@everybody",
        "$x$",
        "a\n\n# heading",
        ESCAPES,
        REVERSED,
    ],
)
def test_nothing_is_left_that_markdown_acts_on(text):
    told = in_markdown(text)
    assert not set(told) & set("\\*[]~$@|<`\n\x1b\u202e")
    assert "://" not in told
    assert "www." not in told.lower()
    assert "mailto:" not in told


def test_ordinary_names_stay_as_they_are():
    assert in_markdown("none_of_these (2), Käse; it's") == "none_of_these (2), Käse; it's"
    assert in_code("torchvision:resnet50_a") == "torchvision:resnet50_a"
    assert in_code("a`b|c\x1b") == "a'b/c\\x1b"


def test_what_is_printed_goes_through_it(capsys):
    render.show(f"class {ESCAPES}\nnext")
    render.say(f"note: {REVERSED} :cat: [red]")
    render.show_table("[/x]", ["[/name]"], [[ESCAPES], ["[/red] [bold]x[/bold]"]])
    printed = capsys.readouterr()
    assert "\x1b" not in printed.out
    assert "next" in printed.out
    assert "[/red] [bold]x[/bold]" in printed.out
    assert printed.err == "note: cat\\u202egnp.exe\\u2066 :cat: [red]\n"


def test_a_card_is_inert(tmp_path):
    name = f"![x](https://example.org/a.png) {ESCAPES} {REVERSED}"
    made = replace(origin(settings={"note": f"``` {name}"}), source_digest="`![x](https://example.org)`")
    part = Component(nn.Linear(2, 1), classes=[name], labels=[0], origin=made)
    told = (save(part, tmp_path / "part") / "README.md").read_text()
    before, settings, after = told.partition("```json")
    assert "![x](https:" not in before.replace("`'![x](https://example.org)'`", "")
    assert not set(told) & {"\x1b", "\u202e", "\u2066"}
    assert settings
    assert after.count("```") == 1
