"""Images of several requests go through the network at once: as many as are there, or come within a moment."""

import asyncio
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Self

import numpy as np
from classifier import Floats, Pixels


class Busy(Exception):
    """So many requests are being answered that no further one is taken."""


class Stopped(Exception):
    """The server ends before the image was looked at."""


class Places:
    """As many requests as are answered at once, from their first byte on: so memory has a bound."""

    def __init__(self, most: int) -> None:
        self.most, self.taken = most, 0

    @contextmanager
    def one(self) -> Iterator[None]:
        """Hold a place; raises Busy at once where none is free, as to wait would take memory, too."""
        if self.taken >= self.most:
            raise Busy
        self.taken += 1
        try:
            yield
        finally:
            self.taken -= 1


@dataclass(frozen=True, slots=True)
class Waiting:
    """An image, and the answer that its request waits for."""

    image: Pixels
    answer: asyncio.Future[Floats]


class Batcher:
    """Runs a network on up to `most` images at once, and waits up to `wait` seconds for as many.

    The network runs in one thread: meanwhile the next images come together, so that a busy server need not wait.
    """

    def __init__(self, network: Callable[[Pixels], Floats], most: int = 32, wait: float = 0.002) -> None:
        self.network, self.most, self.wait = network, most, wait
        self.queue: asyncio.Queue[Waiting] = asyncio.Queue()
        self.batch: list[Waiting] = []

    async def __aenter__(self) -> Self:
        self.thread = ThreadPoolExecutor(1, "network")
        self.worker = asyncio.create_task(self._work())
        return self

    async def __aexit__(self, *_: object) -> None:
        self.worker.cancel()
        await asyncio.wait([self.worker])
        while not self.queue.empty():
            self.batch.append(self.queue.get_nowait())
        _fail(self.batch, Stopped())
        self.thread.shutdown()

    @property
    def alive(self) -> bool:
        """Whether images are still taken."""
        return not self.worker.done()

    async def answer(self, image: Pixels) -> Floats:
        """Probabilities of one image; raises Stopped, and what the network raises."""
        if not self.alive:
            raise Stopped
        waiting = Waiting(image, asyncio.get_running_loop().create_future())
        self.queue.put_nowait(waiting)
        return await waiting.answer

    async def _work(self) -> None:
        while True:
            await self._collect()
            for alike in _by_shape(self.batch):
                await self._run(alike)

    async def _collect(self) -> None:
        """Make a batch of the first image that comes, and of those that come soon."""
        self.batch = [await self.queue.get()]
        until = asyncio.get_running_loop().time() + self.wait
        while len(self.batch) < self.most:
            try:
                async with asyncio.timeout_at(until if self.queue.empty() else None):
                    self.batch.append(await self.queue.get())
            except TimeoutError:
                break

    async def _run(self, batch: list[Waiting]) -> None:
        images = np.stack([waiting.image for waiting in batch])
        try:
            rows = await asyncio.get_running_loop().run_in_executor(self.thread, self.network, images)
        except Exception as error:  # of a network that fails, every request hears
            _fail(batch, error)
            return
        for waiting, row in zip(batch, rows, strict=True):
            if not waiting.answer.done():  # its client may have gone
                waiting.answer.set_result(row)


def _by_shape(batch: list[Waiting]) -> list[list[Waiting]]:
    """Images of one shape together: a network without a size of its own takes any."""
    groups: dict[tuple[int, ...], list[Waiting]] = {}
    for waiting in batch:
        groups.setdefault(waiting.image.shape, []).append(waiting)
    return list(groups.values())


def _fail(batch: list[Waiting], error: Exception) -> None:
    for waiting in batch:
        if not waiting.answer.done():
            waiting.answer.set_exception(error)
