"""What all pictures share: the files that can be drawn, figures without a display, colours."""

from pathlib import Path
from typing import Any

from model_lego.errors import BadConfig
from model_lego.store.outputs import check_file, writing

#: Endings of the files that can be drawn.
FORMATS = (".png", ".svg")

#: Colours that people with any colour vision tell apart (Okabe and Ito), on light and on dark ground.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00")
#: What several share, and what nobody uses.
SHARED, UNUSED = "#767676", "#C8C8C8"

#: Lines that differ in colour or dash.
MOST_STYLES = 18
#: Dashes tell apart those that have to share a colour.
DASHES = ("-", "--", ":")


def check_picture(file: str | Path) -> None:
    """Refuse a picture that cannot be drawn before any work is done; raises BadConfig, CannotWrite."""
    if Path(file).suffix.lower() not in FORMATS:
        raise BadConfig(f"'{file}' is no picture that can be drawn; end it in {' or '.join(FORMATS)}")
    check_file(file)
    figure_class()


def figure_class() -> Any:
    """The Figure of matplotlib, which needs no display; raises BadConfig."""
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise BadConfig("pictures need matplotlib: pip install model-lego[draw]") from error
    return Figure


def write(figure: Any, file: str | Path) -> None:
    """Write a figure; the same figure gives the same bytes. Raises CannotWrite."""
    from matplotlib import rc_context

    with rc_context({"svg.hashsalt": "model-lego"}), writing(file):
        Path(file).parent.mkdir(parents=True, exist_ok=True)
        dateless = {"Date": None} if Path(file).suffix.lower() == ".svg" else None
        figure.savefig(file, dpi=160, metadata=dateless)


def style(number: int) -> tuple[str, Any]:
    """Colour and dash of the n-th of several things."""
    return COLOURS[number % len(COLOURS)], DASHES[number // len(COLOURS) % len(DASHES)]
