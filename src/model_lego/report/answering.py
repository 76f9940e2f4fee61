"""What the channels of a diagram answer to: for each dot the photos, by the layer that reads its channel next."""

import base64
import math
from bisect import bisect_left
from collections.abc import Sequence
from typing import Any

import numpy as np
from markupsafe import Markup
from torch import Tensor

from model_lego.report.page import block, joined
from model_lego.report.photos import Pool
from model_lego.routes.nouns import DecisionRoutes, TopImages, TopLayer

#: A photo in a row of bytes: its number in the pool, and where the channel is strongest, across and down.
ENTRY = np.dtype([("photo", "<u2"), ("across", "u1"), ("down", "u1")])
#: What stands there for no photo and for no place; a place is a share of 250.
NO_PHOTO, NOWHERE, FAR = 0xFFFF, 0xFF, 250
#: Channels of a class whose photos are shown without pointing at them.
MOST_CHANNELS = 4


class Answering:
    """The photos of channels in rows, one for each channel and layer that reads it; those that were asked for."""

    def __init__(self, routes: DecisionRoutes, top: TopImages, pool: Pool) -> None:
        self.photos, self.pool = top.photos, pool
        self.rows: list[Any] = []
        self._numbers: dict[tuple[str, int], int] = {}
        self._readers: dict[int, list[tuple[int, TopLayer, int]]] = {}  # channel -> when, by what, its place there
        order = {layer.name: number for number, layer in enumerate(routes.layers)} | {"logits": len(routes.layers)}
        for layer in sorted((one for one in top.layers if one.name in order), key=lambda one: order[one.name]):
            for place, channel in enumerate(layer.reads.tolist()):
                self._readers.setdefault(channel, []).append((order[layer.name], layer, place))

    def rows_of(self, channels: Tensor, done: int) -> list[int]:
        """The row of each channel as it is read next, after so many layers; -1 for one that no layer reads."""
        return [self._row(channel, done) for channel in channels.tolist()]

    def photos_of(self, channel: int, done: int) -> list[tuple[int, int, int]]:
        """The photos of one channel, as they stand in its row."""
        row = self._row(channel, done)
        return [] if row < 0 else [entry for entry in self.rows[row].tolist() if entry[0] != NO_PHOTO]

    def packed(self) -> dict[str, Any]:
        """The rows for the script of a page: how many photos are in each, and their bytes."""
        plain = b"".join(row.tobytes() for row in self.rows)
        return {"most": len(self.rows[0]) if self.rows else 0, "rows": base64.b64encode(plain).decode("ascii")}

    def _row(self, channel: int, done: int) -> int:
        readers = self._readers.get(channel, [])
        at = bisect_left(readers, done, key=lambda reader: reader[0])
        if at == len(readers):
            return -1
        _, layer, place = readers[at]
        if (layer.name, channel) not in self._numbers:
            self._numbers[layer.name, channel] = len(self.rows)
            self.rows.append(self._entries(layer, place))
        return self._numbers[layer.name, channel]

    def _entries(self, layer: TopLayer, place: int) -> Any:
        entries = np.full(layer.images.shape[1], NO_PHOTO, ENTRY)
        found = zip(layer.images[place].tolist(), layer.spots[place].tolist(), strict=True)
        kept = [(self.pool.place(self.photos[image]), spot) for image, spot in found if image >= 0]
        for at, (number, spot) in enumerate((number, spot) for number, spot in kept if number >= 0):
            down, across = (NOWHERE if math.isnan(side) else round(FAR * side) for side in spot)
            entries[at] = (number, across, down)
        return entries


def strongest(routes: DecisionRoutes, answering: Answering) -> Markup:
    """For each subject the channels that add most to its logit, with the photos that these answer to most."""
    last, called = routes.layers[-1], _homes(routes)
    blocks = []
    for name, used, shares in zip(routes.names, last.inputs, last.contributions, strict=True):
        best = shares.where(used, -1).argsort(descending=True, stable=True)[: min(MOST_CHANNELS, int(used.sum()))]
        pairs = zip(last.reads[best].tolist(), shares[best].tolist(), strict=True)
        rows = [(called[one], share, answering.photos_of(one, len(routes.layers) - 1)) for one, share in pairs]
        blocks.append(block("answers", name, rows))
    return block("answering", joined(blocks))


def _homes(routes: DecisionRoutes) -> dict[int, str]:
    """What each channel is called: the layer that writes it first, and its number there."""
    written: Sequence[tuple[str, Tensor]] = [(layer.name, layer.writes) for layer in routes.layers]
    found: dict[int, str] = {}
    for name, channels in [("image", routes.layers[0].reads), *written]:
        for number, channel in enumerate(channels.tolist()):
            found.setdefault(channel, f"{name}, channel {number}")
    return found
