"""Heads of attention in a graph: rows of channels that keep equal numbers, and attributes that count them."""

from collections.abc import Iterator, Mapping, Sequence

import torch
from torch import Tensor, nn

from model_lego.graph import labels as lab
from model_lego.graph.channels import Balance, Follow, Freeze, Heads, Product
from model_lego.graph.collector import Builder

#: What attributes beside attention count, by their names: heads, the channels of each in queries, values or both, or
#: those of all heads.
HEADS, EACH, QUERIES, VALUES, ALL = "heads", "each", "queries", "values", "all"
COUNTS: Mapping[str, str] = {
    **dict.fromkeys(("num_heads", "num_attention_heads", "n_heads", "n_head", "nhead", "nheads", "heads"), HEADS),
    **dict.fromkeys(("head_dim", "attention_head_size", "dim_head", "head_size", "dim_per_head", "d_head"), EACH),
    **dict.fromkeys(("key_dim", "qk_dim", "query_dim", "d_k"), QUERIES),
    **dict.fromkeys(("val_dim", "value_dim", "v_dim", "d_v"), VALUES),
    **dict.fromkeys(("attn_dim", "all_head_size", "inner_dim", "attention_dim"), ALL),
}


def tie_heads(builder: Builder) -> None:
    """Tie heads that have a channel in common, so that each channel lies in one of them."""
    while builder.attention:
        left, right = (torch.cat([edge[side] for edge in builder.edges]) for side in (0, 1))
        channel = lab.components(builder.size, left, right)
        head_of = _owners(builder.size, [(channel[each.rows], each.heads) for each in builder.attention])
        pairs = [
            (head_of[channel[each.rows]].reshape(-1), each.heads.repeat_interleave(each.width))
            for each in builder.attention
        ]
        one, other = (torch.cat([pair[side] for pair in pairs]) for side in (0, 1))
        apart = channel[one] != channel[other]
        if not bool(apart.any()):
            return
        builder.edges.append((one[apart], other[apart]))


def _owners(width: int, rows: Sequence[tuple[Tensor, Tensor]]) -> Tensor:
    """The head of each channel, -1 for none."""
    found = torch.full((width,), -1, dtype=torch.int64)
    for channels, heads in rows:
        found[channels] = heads[:, None]
    return found


def heads_of(builder: Builder, channel: Tensor) -> tuple[Heads, ...]:
    """The rows of attention in a network, by its coupled channels."""
    return tuple(Heads(channel[each.rows], channel[each.heads], each.where) for each in builder.attention)


def held_rows(attention: Sequence[Heads], frozen: Tensor) -> Iterator[tuple[Tensor, Freeze]]:
    """The channels that stand for all of a head which stays: the only one, or one that is `frozen`."""
    for each in attention:
        stays = torch.isin(each.heads, frozen) | (len(each.heads.unique()) == 1)
        whole = (each.rows == each.rows[:, :1]).all(1)
        channels = each.rows[stays & whole, 0].unique()
        if not bool(torch.isin(channels, frozen).all()):
            yield channels, Freeze("is all of a head that is kept", each.where)


def held_heads(
    attention: Sequence[Heads], frozen: Sequence[tuple[Tensor, Freeze]], width: int
) -> list[tuple[Tensor, Freeze]]:
    """The heads that cannot be cut since channels of theirs cannot, for the same reasons."""
    head_of = _owners(width, [(each.rows, each.heads) for each in attention])
    held = [(head_of[channels].unique(), freeze) for channels, freeze in frozen]
    return [(heads[heads >= 0], freeze) for heads, freeze in held if bool((heads >= 0).any())]


def with_blocks(
    attention: Sequence[Heads], balances: Sequence[Balance], width: int
) -> tuple[tuple[Heads, ...], tuple[Balance, ...]]:
    """Of blocks that stay equal, those that consist of rows of heads: a head may go, and the rows of others stay equal.

    So it is with a view of queries, keys and values as 3 x heads x channels. Where values have other heads than
    queries, since a layer mixes their scores, as many of each stay.
    """
    head_of, found, left = _owners(width, [(each.rows, each.heads) for each in attention]), list(attention), []
    for balance in balances:
        rows = None if balance.filled else _rows(balance.blocks, head_of)
        if rows is None:
            left.append(balance)
        elif not any(torch.equal(rows, each.rows) for each in found):
            found.append(Heads(rows, head_of[rows[:, 0]], balance.where))
            sets = _apart([each.heads.unique() for each in attention], found[-1].heads)
            if len(sets) > 1 and {len(heads) for heads in sets} == {len(sets[0])} != {1}:
                left.append(Balance(torch.stack(sets), balance.where))
    return tuple(found), tuple(left)


def whole_beside_whole(attention: Sequence[Heads], channel: Tensor) -> list[tuple[Tensor, Tensor]]:
    """Edges that couple all channels of a row where the row beside it, which keeps as many, stands or falls as one.

    So do values whose queries are turned in halves, where a view has both side by side.
    """
    point = torch.zeros(int(channel.max()) + 1, dtype=torch.int64)
    point[channel] = torch.arange(len(channel))
    found = []
    for each in attention:
        whole = (each.rows == each.rows[:, :1]).all(1)
        if each.width > 1 and bool(whole.any()) and not bool(whole.all()):
            rows = point[each.rows[~whole]]
            found.append((rows[:, :1].expand_as(rows).flatten(), rows.flatten()))
    return found


def _apart(sets: Sequence[Tensor], heads: Tensor) -> list[Tensor]:
    """Of sets of heads those, each once, whose heads are among some."""
    found = {tuple(each.tolist()): each for each in sets if bool(torch.isin(each, heads).all())}
    return list(found.values())


def _rows(blocks: Tensor, head_of: Tensor) -> Tensor | None:
    """The channels of blocks by heads; None where some lie in none, or one has more of them than another."""
    owners = head_of[blocks]
    counts = [row.unique(return_counts=True)[1] for row in owners]
    equal = len({count for each in counts for count in each.tolist()}) == 1
    if not equal or bool((owners < 0).any()):
        return None
    order = owners.argsort(dim=1, stable=True)
    return blocks.gather(1, order).reshape(-1, int(counts[0][0]))


def counted(
    model: nn.Module, attention: Sequence[Heads], products: Sequence[Product], known: set[tuple[str, str]]
) -> tuple[list[Follow], list[Heads]]:
    """Attributes that count heads and their channels, and rows that are equal because one attribute counts both.

    They are known by their names and numbers, in the module that makes the product; `trace` tries them.
    """
    reads = [labels.reshape(-1) for product in products for labels in product.operands.values()]
    read = torch.cat(reads) if reads else torch.empty(0, dtype=torch.int64)
    follows, tied = [], []
    for where in dict.fromkeys(each.where for each in attention):
        here = [each for each in attention if each.where == where]
        of_queries = [lab.meet(each.rows, read) for each in here]
        queries = [each for each, mine in zip(here, of_queries, strict=True) if mine]
        values = [each for each, mine in zip(here, of_queries, strict=True) if not mine]
        for attribute, value in vars(model.get_submodule(where)).items():
            if type(value) is not int or (where, attribute) in known:
                continue
            sides = {QUERIES: queries, VALUES: values}.get(COUNTS.get(attribute, ""), [*values, *queries])
            matching = list(_matching(COUNTS.get(attribute, ""), value, where, attribute, sides))
            follows += [follow for follow, _ in matching[:1]]
            rows = [each for follow, each in matching if follow.holds == EACH]
            if len(rows) > 1:
                together = torch.cat([each.rows for each in rows]), torch.cat([each.heads for each in rows])
                tied.append(Heads(*together, where))
    return follows, tied


def _matching(
    counts: str, value: int, where: str, attribute: str, attention: Sequence[Heads]
) -> Iterator[tuple[Follow, Heads]]:
    """What an attribute that counts something follows, of each of some rows of heads that has its number."""
    for each in attention:
        channels, heads = each.rows.reshape(-1), each.heads.unique()
        if counts == HEADS and value == len(heads):
            yield Follow(where, attribute, "outputs", heads, heads), each
        elif counts in (EACH, QUERIES, VALUES) and value == each.width:
            yield Follow(where, attribute, "each", channels, each.heads), each
        elif counts == ALL and value == len(channels):
            yield Follow(where, attribute, "outputs", channels, channels), each
