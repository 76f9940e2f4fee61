"""python -m benchmarks.tokens [WORD …]: measure networks whose name holds a word, all by default; write docs/tokens.md.

Networks that are measured already stay as they are recorded; `--again` measures them anew.
"""

import json
import sys
from typing import Any

from benchmarks.common import RESULTS, ROOT, record
from benchmarks.networks import token_networks
from benchmarks.tokens import joining
from benchmarks.tokens.measuring import measured
from benchmarks.tokens.page import page

SIZES, SEED = (0.5,), 0
#: Classes of the components, by places in the network; all of them is what `compress` keeps.
TASKS = {"bird, cat, deer": (2, 3, 4), "classes 0 to 4": (0, 1, 2, 3, 4), "all ten": tuple(range(10))}


def main(words: list[str]) -> None:
    """Measure, record, and write the page."""
    again, wanted = "--again" in words, [word for word in words if word != "--again"]
    path = RESULTS / "tokens.json"
    result: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {"networks": {}, "joined": {}}
    for network in token_networks():
        known = network.name in result["networks"] and not again
        if known or (wanted and not any(word in network.name for word in wanted)):
            continue
        tasks = {}
        for task, labels in TASKS.items():
            some = network.of(labels)
            rows = []
            for row in measured(some, SIZES, SEED):
                print(network.name, task, row, flush=True)
                rows.append(row)
            about = {"restricted": some.accuracy(some.model), "test_images": len(some.test[1])}
            tasks[task] = about | {"rows": rows}
        parameters = sum(each.numel() for each in network.model.parameters())
        result["networks"][network.name] = {"parameters": parameters, "tasks": tasks}
        record("tokens", result, show=False)
    for name, pair in joining.PAIRS.items():
        known = name in result["joined"] and not again
        if known or (wanted and not any(word in name for word in wanted)):
            continue
        joined = joining.measured(pair, SEED)
        if joined is not None:
            print(name, joined, flush=True)
            result["joined"][name] = joined
            record("tokens", result, show=False)
    (ROOT / "docs" / "tokens.md").write_text(page(result))


if __name__ == "__main__":
    main(sys.argv[1:])
