"""python -m benchmarks.rivals [WORD …]: measure networks whose name holds a word, all by default; write docs/rivals.md.

What is measured already stays as it is recorded; `--again` measures it anew, `--repaired` the rows of our repair alone,
which the others do not depend on.
"""

import json
import sys
from typing import Any

from benchmarks.common import RESULTS, ROOT, record
from benchmarks.networks import Network, networks
from benchmarks.rivals import superclasses
from benchmarks.rivals.measuring import OUR_REPAIR, estimated_again, measured
from benchmarks.rivals.page import page

SIZES, SEED = (0.75, 0.5), 0


def main(words: list[str]) -> None:
    """Measure, record, and write the page."""
    options = {word for word in words if word.startswith("--")}
    again, repaired, wanted = "--again" in options, "--repaired" in options, [w for w in words if w not in options]
    path = RESULTS / "rivals.json"
    result: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {"networks": {}, "superclasses": None}
    for network in networks():
        known = result["networks"].get(network.name)
        if wanted and not any(word in network.name for word in wanted):
            continue
        if known is None or again:
            result["networks"][network.name] = _anew(network)
        elif repaired:
            for row in measured(network, SIZES, SEED, only=OUR_REPAIR):
                print(network.name, row, flush=True)
                known["rows"] = [row if _told(row) == _told(other) else other for other in known["rows"]]
        record("rivals", result, show=False)
    if (not wanted or "superclasses" in wanted) and (again or result["superclasses"] is None):
        result["superclasses"] = superclasses.measured(SEED)
        record("rivals", result, show=False)
    (ROOT / "docs" / "rivals.md").write_text(page(result))


def _anew(network: Network) -> dict[str, Any]:
    """All rows of a network, and what its source has."""
    rows = []
    for row in measured(network, SIZES, SEED):
        print(network.name, row, flush=True)
        rows.append(row)
    return {
        "restricted": network.accuracy(network.model),
        "estimated_again": estimated_again(network, SEED),
        "test_images": len(network.test[1]),
        "rows": rows,
    }


def _told(row: dict[str, Any]) -> dict[str, Any]:
    """Everything about a row but its figure."""
    return {key: value for key, value in row.items() if key != "accuracy"}


if __name__ == "__main__":
    main(sys.argv[1:])
