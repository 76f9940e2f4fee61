"""python -m benchmarks.rivals [WORD …]: measure networks whose name holds a word, all by default; write docs/rivals.md.

What is measured already stays as it is recorded; `--again` measures it anew.
"""

import json
import sys
from typing import Any

from benchmarks.common import RESULTS, ROOT, record
from benchmarks.networks import networks
from benchmarks.rivals import superclasses
from benchmarks.rivals.measuring import estimated_again, measured
from benchmarks.rivals.page import page

SIZES, SEED = (0.75, 0.5), 0


def main(words: list[str]) -> None:
    """Measure, record, and write the page."""
    again, wanted = "--again" in words, [word for word in words if word != "--again"]
    path = RESULTS / "rivals.json"
    result: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {"networks": {}, "superclasses": None}
    for network in networks():
        if (wanted and not any(word in network.name for word in wanted)) or (
            network.name in result["networks"] and not again
        ):
            continue
        about = {
            "restricted": network.accuracy(network.model),
            "estimated_again": estimated_again(network, SEED),
            "test_images": len(network.test[1]),
        }
        rows = []
        for row in measured(network, SIZES, SEED):
            print(network.name, row, flush=True)
            rows.append(row)
        result["networks"][network.name] = about | {"rows": rows}
        record("rivals", result, show=False)
    if (not wanted or "superclasses" in wanted) and (again or result["superclasses"] is None):
        result["superclasses"] = superclasses.measured(SEED)
        record("rivals", result, show=False)
    (ROOT / "docs" / "rivals.md").write_text(page(result))


if __name__ == "__main__":
    main(sys.argv[1:])
