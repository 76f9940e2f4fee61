"""Serve an exported part: `python server.py FILE.onnx`, then `curl -F image=@photo.jpg localhost:8000/classify`."""

import argparse
import asyncio
import logging
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import uvicorn
from batching import Batcher, Busy, Places, Stopped
from classifier import BadModel, Classifier, Floats, Pixels
from metrics import Metrics
from photos import Refused, pixels_of
from PIL import Image
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from uploads import uploaded

LOG = logging.getLogger("uvicorn.error")


@dataclass(frozen=True, slots=True)
class Limits:
    """What a request may take, how many are answered at once, and how many images go through the network at once."""

    bytes: int = 10_000_000
    pixels: int = 25_000_000
    seconds: float = 10
    requests: int = 128
    batch: int = 32
    wait: float = 0.002


class Service:
    """What answers the requests."""

    def __init__(self, classifier: Classifier, limits: Limits) -> None:
        self.classifier, self.limits = classifier, limits
        self.places = Places(limits.requests)
        self.metrics = Metrics(self.places)
        self.batcher = Batcher(self._probabilities, limits.batch, limits.wait)

    def _probabilities(self, images: Pixels) -> Floats:
        self.metrics.batch.observe(len(images))
        with self.metrics.network.time():
            return self.classifier(images)

    @asynccontextmanager
    async def running(self, _app: Starlette) -> AsyncIterator[None]:
        """Run from before the first request until after the last."""
        async with self.batcher:
            yield

    async def classify(self, request: Request) -> Response:
        """The classes of the image in a request, the most probable first."""
        began = time.perf_counter()
        try:
            with self.places.one():
                response: Response = JSONResponse(await self._classes(request))
        except Exception as error:
            response = refusal(error)
        self.metrics.requests.labels(str(response.status_code)).inc()
        self.metrics.seconds.observe(time.perf_counter() - began)
        return response

    async def _classes(self, request: Request) -> dict[str, object]:
        limits, network, top = self.limits, self.classifier, wanted_classes(request)
        data = await uploaded(request, limits.bytes, limits.seconds)
        pixels = await asyncio.to_thread(pixels_of, data, network.resizing, network.colours, limits.pixels)
        shares = await self.batcher.answer(pixels)
        first = np.argsort(-shares, kind="stable")[:top].tolist()
        rows = [{"class": network.classes[place], "probability": float(shares[place])} for place in first]
        return {"class": rows[0]["class"], "probability": rows[0]["probability"], "top": rows}

    async def health(self, _request: Request) -> Response:
        """Whether images are classified, and as what."""
        status = "ok" if self.batcher.alive else "stopped"
        said = {"status": status, "digest": self.classifier.digest, "classes": self.classifier.classes}
        return JSONResponse(said, 200 if self.batcher.alive else 503)

    async def numbers(self, _request: Request) -> Response:
        """The metrics, as Prometheus reads them."""
        return Response(self.metrics.text(), media_type=Metrics.TYPE)


def wanted_classes(request: Request) -> int:
    """How many classes `?top=` asks for; raises Refused."""
    said = request.query_params.get("top", "5")
    if not said.isdecimal() or int(said) < 1:
        raise Refused(400, f"top is how many classes to name, a number from 1 on, not {said!r}")
    return int(said)


def refusal(error: Exception) -> Response:
    """An error as JSON, `{"error": SENTENCE}`; what nobody foresaw is written to the log."""
    match error:
        case Refused():
            return JSONResponse({"error": error.reason}, error.status)
        case HTTPException():
            return JSONResponse({"error": error.detail}, error.status_code, error.headers)
        case Busy():
            return JSONResponse({"error": "too many requests at once: try again"}, 503, {"Retry-After": "1"})
        case Stopped():
            return JSONResponse({"error": "the server is stopping"}, 503, {"Retry-After": "5"})
        case ClientDisconnect():
            return JSONResponse({"error": "the client has gone"}, 400)
    LOG.error("a request failed", exc_info=error)
    return JSONResponse({"error": "the server failed: its log says why"}, 500)


async def refused(_request: Request, error: Exception) -> Response:
    """An address or a method that is not there."""
    return refusal(error)


def application(classifier: Classifier, limits: Limits) -> Starlette:
    """The server, for anything that runs ASGI."""
    service = Service(classifier, limits)
    routes = [
        Route("/classify", service.classify, methods=["POST"]),
        Route("/health", service.health),
        Route("/metrics", service.numbers),
    ]
    return Starlette(routes=routes, lifespan=service.running, exception_handlers={HTTPException: refused})


def main() -> None:
    """Read the options, open the file, serve until a signal to end; requests under way are answered first."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    usual = Limits()
    parser.add_argument("file", type=Path, help="what model-lego export … --to FILE.onnx --with-preprocessing wrote")
    parser.add_argument("--host", default="127.0.0.1", help="0.0.0.0 to be reached from other machines")
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument("--threads", type=int, default=0, help="of the network; 0: as many as there are cores")
    parser.add_argument("--batch", type=int, default=usual.batch, help="images that go through the network at once")
    parser.add_argument("--wait", type=float, default=usual.wait, help="seconds that an image waits for others")
    parser.add_argument("--requests", type=int, default=usual.requests, help="that are answered at once; then 503")
    parser.add_argument("--bytes", type=int, default=usual.bytes, help="of an image, at most; then 413")
    parser.add_argument("--pixels", type=int, default=usual.pixels, help="of an image, at most; then 413")
    parser.add_argument("--seconds", type=float, default=usual.seconds, help="to send an image in; then 408")
    given = vars(parser.parse_args())
    file, threads, host, port = (given.pop(name) for name in ("file", "threads", "host", "port"))
    Image.MAX_IMAGE_PIXELS = None  # of this process; a request has its own limit
    try:
        app = application(Classifier.open(file, threads), Limits(**given))
    except BadModel as error:
        sys.exit(f"error: {error}")
    uvicorn.run(app, host=host, port=port, access_log=False, timeout_graceful_shutdown=30)


if __name__ == "__main__":
    main()
