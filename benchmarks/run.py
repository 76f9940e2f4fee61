"""make bench: run every benchmark, or those that are named."""

import sys
from collections.abc import Callable
from types import MappingProxyType

from benchmarks import criteria, resnet50, tracing, training, zoo_vgg

BENCHMARKS: MappingProxyType[str, Callable[[], None]] = MappingProxyType(
    {
        "criteria": criteria.main,
        "resnet50": resnet50.main,
        "tracing": tracing.main,
        "training": training.main,
        "zoo_vgg": zoo_vgg.main,
    }
)


def main() -> None:
    """Run the benchmarks named on the command line, all of them by default."""
    for name in sys.argv[1:] or BENCHMARKS:
        if name not in BENCHMARKS:
            sys.exit(f"there is no benchmark '{name}'; there are {', '.join(BENCHMARKS)}")
        BENCHMARKS[name]()


if __name__ == "__main__":
    main()
