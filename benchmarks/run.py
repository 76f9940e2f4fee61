"""make bench: run every benchmark, or those that are named."""

import sys
from collections.abc import Callable
from types import MappingProxyType

from benchmarks import criteria, distillation, finetuning, resnet50, surgery, tracing, zoo_vgg
from benchmarks.compression import bench as compression

BENCHMARKS: MappingProxyType[str, Callable[[], None]] = MappingProxyType(
    {
        "compression": compression.main,
        "criteria": criteria.main,
        "distillation": distillation.main,
        "finetuning": finetuning.main,
        "resnet50": resnet50.main,
        "surgery": surgery.main,
        "tracing": tracing.main,
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
