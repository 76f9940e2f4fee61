"""make bench: run every benchmark, or those that are named."""

import argparse
from collections.abc import Callable
from functools import partial

from benchmarks import (
    criteria,
    distillation,
    finetuning,
    heads,
    imagenet,
    photos,
    reading,
    repair,
    resnet50,
    surgery,
    tracing,
    training,
    transfer,
    tuning,
    zoo_vgg,
)
from benchmarks.accuracy.cases import NETWORKS
from benchmarks.compression import bench as compression


def main() -> None:
    """Run the benchmarks named on the command line, all of them by default."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME")
    parser.add_argument(
        "--network", action="append", default=[], choices=NETWORKS, help="of repair and criteria, only this network"
    )
    given = parser.parse_args()
    known: dict[str, Callable[[], None]] = {
        "compression": compression.main,
        "criteria": partial(criteria.main, given.network),
        "distillation": distillation.main,
        "finetuning": finetuning.main,
        "heads": heads.main,
        "imagenet": imagenet.main,
        "photos": photos.main,
        "reading": reading.main,
        "repair": partial(repair.main, given.network),
        "resnet50": resnet50.main,
        "surgery": surgery.main,
        "tracing": tracing.main,
        "training": training.main,
        "transfer": transfer.main,
        "tuning": tuning.main,
        "zoo_vgg": zoo_vgg.main,
    }
    for name in given.names or known:
        if name not in known:
            parser.error(f"there is no benchmark '{name}'; there are {', '.join(known)}")
        known[name]()


if __name__ == "__main__":
    main()
