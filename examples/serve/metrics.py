"""What the server counts, as Prometheus reads it."""

from batching import Places
from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    generate_latest,
)

SECONDS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5)


class Metrics:
    """Requests, their time, how full the batches are, and what the process takes of the machine."""

    TYPE = CONTENT_TYPE_LATEST

    def __init__(self, places: Places) -> None:
        self.registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        self.requests = Counter(
            "classify_requests", "Requests to classify, by HTTP status", ["status"], registry=registry
        )
        self.seconds = Histogram("classify_seconds", "From a request to its answer", buckets=SECONDS, registry=registry)
        self.network = Histogram("network_seconds", "Of the network, on one batch", buckets=SECONDS, registry=registry)
        self.batch = Histogram(
            "batch_images", "Images of a batch", buckets=(1, 2, 4, 8, 16, 32, 64, 128), registry=registry
        )
        under_way = Gauge("classify_under_way", "Requests that are being answered", registry=registry)
        under_way.set_function(lambda: places.taken)

    def text(self) -> bytes:
        """All of it."""
        return generate_latest(self.registry)
