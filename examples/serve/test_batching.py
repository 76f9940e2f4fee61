"""Images of several requests go through the network together, each gets its own answer, and none waits for ever."""

import asyncio

import numpy as np
import pytest
from batching import Batcher, Busy, Places, Stopped


class Network:
    """Gives the mean of an image, and remembers the batches."""

    def __init__(self):
        self.shapes = []

    def __call__(self, images):
        self.shapes.append(images.shape)
        return images.mean((1, 2, 3))


def image(value, side=2):
    return np.full((side, side, 3), value, np.uint8)


async def answers(batcher, images):
    async with asyncio.timeout(5), batcher:
        return await asyncio.gather(*map(batcher.answer, images), return_exceptions=True)


def test_images_run_together_up_to_as_many_as_are_said():
    network = Network()
    given = asyncio.run(answers(Batcher(network, most=4, wait=0.1), map(image, range(10))))
    assert given == list(range(10))
    assert [shape[0] for shape in network.shapes] == [4, 4, 2]


def test_a_lone_image_waits_no_longer_than_is_said():
    network = Network()

    async def one_by_one():
        async with asyncio.timeout(5), Batcher(network, most=4, wait=0.001) as batcher:
            return [await batcher.answer(image(value)) for value in range(3)]

    assert asyncio.run(one_by_one()) == [0, 1, 2]
    assert [shape[0] for shape in network.shapes] == [1, 1, 1]


def test_images_of_two_sizes_run_apart():
    network = Network()
    given = [image(1), image(2, side=3), image(3)]
    assert asyncio.run(answers(Batcher(network, wait=0.05), given)) == [1, 2, 3]
    assert network.shapes == [(2, 2, 2, 3), (1, 3, 3, 3)]


def test_a_network_that_fails_fails_its_batch_alone():
    def network(images):
        if (images == 7).all():
            raise ValueError("seven")
        return images.mean((1, 2, 3))

    first, second = asyncio.run(answers(Batcher(network, most=1), [image(7), image(8)]))
    assert isinstance(first, ValueError)
    assert second == 8


def test_who_waits_when_the_server_ends_is_told():
    async def ended():
        batcher = Batcher(Network(), most=4, wait=60)
        async with batcher:
            waiting = asyncio.create_task(batcher.answer(image(1)))
            await asyncio.sleep(0.01)
        assert not batcher.alive
        with pytest.raises(Stopped):
            await batcher.answer(image(2))
        with pytest.raises(Stopped):
            await waiting

    asyncio.run(asyncio.wait_for(ended(), 5))


def test_a_client_that_has_gone_keeps_nobody_from_an_answer():
    async def gone():
        async with Batcher(Network(), most=4, wait=0.05) as batcher:
            first, second = (asyncio.create_task(batcher.answer(image(value))) for value in (1, 2))
            await asyncio.sleep(0.01)
            first.cancel()
            assert await second == 2
            assert await batcher.answer(image(3)) == 3

    asyncio.run(asyncio.wait_for(gone(), 5))


def test_places_are_given_back():
    places = Places(1)
    with places.one(), pytest.raises(Busy), places.one():
        pass
    with places.one():
        assert places.taken == 1
    assert places.taken == 0
