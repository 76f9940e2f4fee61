"""How many requests a second a server answers, and how soon: one image at a time, and in batches, in turns.

`python load_test.py FILE.onnx PHOTO ...` starts a server of its own on loopback for each round. Server and clients
share the processor, so that the numbers compare the two, and are no measure of either alone.
"""

import argparse
import asyncio
import itertools
import math
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2 as httpx

HERE, PORT = Path(__file__).parent, 8799
ADDRESS = f"http://127.0.0.1:{PORT}"


@contextmanager
def served(file: Path, batch: int, threads: int) -> Iterator[None]:
    """A server of a file, from its first sign of life until it has ended by itself."""
    command = [sys.executable, HERE / "server.py", file, "--port", PORT, "--batch", batch, "--threads", threads]
    server = subprocess.Popen(list(map(str, command)), stderr=subprocess.DEVNULL)
    try:
        _await(server)
        yield
    finally:
        server.terminate()
        server.wait()


def _await(server: "subprocess.Popen[bytes]") -> None:
    while server.poll() is None:
        try:
            httpx.get(f"{ADDRESS}/health").raise_for_status()
            return
        except httpx.TransportError:
            time.sleep(0.1)
    sys.exit(f"the server has ended with {server.returncode}")


def processor_seconds() -> float:
    """What the server has used of the processor."""
    found = re.search(r"^process_cpu_seconds_total (\S+)", httpx.get(f"{ADDRESS}/metrics").text, re.MULTILINE)
    return float(found[1]) if found else math.nan  # not told of but on Linux


async def load(photos: list[bytes], clients: int, seconds: float) -> list[float]:
    """Let each client send one photo after the other; seconds of every answer."""
    times: list[float] = []
    until = time.perf_counter() + seconds
    async with httpx.AsyncClient(limits=httpx.Limits(max_connections=clients), timeout=30) as session:

        async def client(number: int) -> None:
            for photo in itertools.islice(itertools.cycle(photos), number, None):
                began = time.perf_counter()
                if began > until:
                    return
                (await session.post(f"{ADDRESS}/classify", content=photo)).raise_for_status()
                times.append(time.perf_counter() - began)

        await asyncio.gather(*(client(number) for number in range(clients)))
    return times


def main() -> None:
    """Measure in turns, and print a row for each round."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("file", type=Path)
    parser.add_argument("photos", type=Path, nargs="+")
    parser.add_argument("--clients", type=int, default=32, help="that each wait for one answer")
    parser.add_argument("--seconds", type=float, default=10, help="of a round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 32], help="images at once, to compare")
    parser.add_argument("--threads", type=int, default=1, help="of the network")
    given = parser.parse_args()
    photos = [photo.read_bytes() for photo in given.photos]
    print("| images at once | requests a second | median | 95 % | 99 % | processor time |\n" + "|---:" * 6 + "|")
    for _, batch in itertools.product(range(given.rounds), given.batches):
        with served(given.file, batch, given.threads):
            asyncio.run(load(photos, given.clients, 1))  # what is done once is not measured
            used = processor_seconds()
            times = sorted(asyncio.run(load(photos, given.clients, given.seconds)))
            used = (processor_seconds() - used) / len(times)
        shares = [f"{1000 * times[int(share * len(times))]:.0f} ms" for share in (0.5, 0.95, 0.99)]
        row = [batch, f"{len(times) / given.seconds:.0f}", *shares, f"{1000 * used:.1f} ms"]
        print(f"| {' | '.join(map(str, row))} |", flush=True)


if __name__ == "__main__":
    main()
