"""The sections of a page about what is taken for what: counts, the surest mistakes, right ones of each class."""

from collections.abc import Sequence

from markupsafe import Markup

from model_lego.report.confusion import RIGHT, WRONG, Answered, Confusion
from model_lego.report.page import Cell, Section, Share, block, hint, joined, table
from model_lego.report.photos import Album

#: Classes up to which all counts are in a table; of more it has the pairs that are taken for each other most often.
MOST_CLASSES, MOST_PAIRS = 40, 60
#: Mistakes, and images of other classes, that are shown at once; what else there is is folded.
MOST_MISTAKES = 24
#: Bytes of all photos in these sections.
MOST_BYTES = 3_000_000


def confusion_sections(confused: Confusion) -> list[Section]:
    """What is taken for what, in numbers and in photos."""
    album = Album(MOST_BYTES)
    mistakes, right = _mistakes(confused, album), _right(confused, album)  # in this order there is room for them
    note = [hint(album.note())] * bool(album.left_out)
    made = [Section("What is taken for what", "confusion", _counts(confused, album))]
    if confused.shown:
        made.append(Section("The surest mistakes", "mistakes", mistakes))
        made.append(Section("Right ones", "right", joined([right, *note])))
    return made


def _counts(confused: Confusion, album: Album) -> Markup:
    names = [*confused.classes, "other classes"]
    if len(confused.classes) > MOST_CLASSES:
        return _pairs(confused, names, album)
    rows: list[list[Cell]] = []
    for row, (name, counts) in enumerate(zip(names, confused.counts.tolist(), strict=True)):
        whole = sum(counts)
        if whole:
            rows.append([name, *(_share(confused, (row, column), whole, album) for column in range(len(counts)))])
    words = "Rows are what images are, columns what they are taken for; shades are shares of a row."
    return table(["images of", *confused.classes], rows) + hint(
        words + " A number leads to a photo." * bool(confused.shown)
    )


def _pairs(confused: Confusion, names: Sequence[str], album: Album) -> Markup:
    """The classes that are taken for others most often."""
    wrong = confused.counts.clone()
    for column, row in enumerate(confused.right_rows):
        wrong[row, column] = 0
    best = wrong.flatten().argsort(descending=True, stable=True)[:MOST_PAIRS]
    rows: list[list[Cell]] = []
    for place in best.tolist():
        row, column = divmod(place, len(confused.classes))
        whole = int(confused.counts[row].sum())
        if wrong[row, column]:
            rows.append([names[row], confused.classes[column], _share(confused, (row, column), whole, album)])
    words = f"Classes that are taken for others most often, at most {MOST_PAIRS} pairs; shades are shares of a class."
    return table(["images of", "taken for", "images"], rows) + hint(words)


def _share(confused: Confusion, pair: tuple[int, int], whole: int, album: Album) -> Share:
    """How many images of a row are taken for a column, leading to the first photo of them where there is one."""
    count, anchors = int(confused.counts[pair]), [_anchor(one) for one in confused.shown.get(pair, ())]
    return Share(count / whole, f"{count:,}", next((each for each in anchors if each in album.anchors), ""))


def _anchor(one: Answered) -> str:
    return f"image-{one.photo.number}"


def _mistakes(confused: Confusion, album: Album) -> Markup:
    shown = len(confused.mistakes[:MOST_MISTAKES])
    if confused.wrong:
        found = f"{confused.wrong:,} of {confused.asked:,} images {'is' if confused.wrong == 1 else 'are'} mistaken; "
        some = f"shown are the {shown} that it is surest of, at most {WRONG} of the same two classes, "
        blocks = [hint(f"{found}{some if shown < confused.wrong else ''}with what each is taken for, and how surely.")]
        blocks += _first(confused, confused.mistakes, album, "The surest mistake of each other kind")
    else:
        blocks = [hint(f"There are no mistakes among {confused.asked:,} images.")]
    if confused.others:
        number = int(confused.counts.sum()) - confused.asked
        words = f"What it takes {number:,} images of classes that it does not have for, where it is surest."
        blocks += [block("heading", "Images of other classes"), hint(words)]
        blocks += _first(confused, confused.others, album, "The surest of each other kind")
    return joined(blocks)


def _first(confused: Confusion, found: Sequence[Answered], album: Album, others: str) -> list[Markup]:
    """The first photos, and folded the first of each kind that is not among them, to which a number leads."""
    first = found[:MOST_MISTAKES]
    heads = {id(some[0]) for some in confused.shown.values()}
    rest = [one for one in found[MOST_MISTAKES:] if id(one) in heads]
    blocks = [block("photos", [_wrong(one, album) for one in first])]
    if rest:
        blocks.append(block("opened", f"{others}: {len(rest)}", block("photos", [_wrong(one, album) for one in rest])))
    return blocks


def _wrong(one: Answered, album: Album) -> Markup:
    alt = f"image {one.photo.name}: {one.photo.label}, taken for {one.answer}"
    lines = f"{one.answer}, {_percent(one)}", f"is {one.photo.label}", one.photo.name
    return album.figure(one.photo, alt, *lines, anchor=_anchor(one))


def _right(confused: Confusion, album: Album) -> Markup:
    rows = []
    for column, (name, row) in enumerate(zip(confused.classes, confused.right_rows, strict=True)):
        hits, whole = int(confused.counts[row, column]), int(confused.counts[row].sum())
        note = f"{hits:,} of {whole:,} images are right" if whole else "there are no images of it"
        figures = [
            album.figure(
                one.photo, f"image {one.photo.name}: {one.photo.label}", _percent(one), one.photo.name,
                anchor=_anchor(one),
            )
            for one in confused.shown.get((row, column), ())
        ]  # fmt: skip
        rows.append((name, note, figures))
    return hint(f"Of each class the {RIGHT} that the part is surest of, with its probability.") + block("albums", rows)


def _percent(one: Answered) -> str:
    """A probability in %, which is 100 only where there is a single class."""
    return "> 99.9 %" if 0.9995 <= one.probability < 1 else f"{100 * one.probability:.1f} %"
