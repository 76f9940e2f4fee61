"""python -m benchmarks.rivals [WORD …]: measure networks whose name holds a word, all by default; write docs/rivals.md.

What is measured already stays as it is recorded, row by row, so that a run goes on where another was stopped;
`--again` measures it anew, `--repaired` the rows of our repair alone, which the others do not depend on. A network is
on the page once all of its rows are there.
"""

import json
import sys
from collections.abc import Mapping
from typing import Any

from benchmarks.common import RESULTS, ROOT, record
from benchmarks.networks import Network, networks
from benchmarks.rivals import superclasses
from benchmarks.rivals.measuring import OUR_REPAIR, estimated_again, everything, measured
from benchmarks.rivals.page import page

SIZES, SEED = (0.75, 0.5), 0


def main(words: list[str]) -> None:
    """Measure, record, and write the page."""
    options = {word for word in words if word.startswith("--")}
    again, repaired, wanted = "--again" in options, "--repaired" in options, [w for w in words if w not in options]
    path = RESULTS / "rivals.json"
    result: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {"networks": {}, "superclasses": None}
    for network in networks():
        if wanted and not any(word in network.name for word in wanted):
            continue
        known = result["networks"].get(network.name)
        if known is None or again:
            known = result["networks"][network.name] = _without_rows(network)
        place = {_told(row): number for number, row in enumerate(everything(SIZES, SEED))}
        found = {_told(row): row for row in known["rows"]}
        asked = [
            row
            for row in everything(SIZES, SEED)
            if _told(row) not in found or (repaired and row["mended"] == OUR_REPAIR)
        ]
        for row in measured(network, asked, SEED) if asked else ():
            print(network.name, row, flush=True)
            found[_told(row)] = row
            known["rows"] = sorted(found.values(), key=lambda each: place[_told(each)])
            record("rivals", result, show=False)
    if (not wanted or "superclasses" in wanted) and (again or result["superclasses"] is None):
        result["superclasses"] = superclasses.measured(SEED)
        record("rivals", result, show=False)
    whole = {name: one for name, one in result["networks"].items() if len(one["rows"]) == len(everything(SIZES, SEED))}
    (ROOT / "docs" / "rivals.md").write_text(page(result | {"networks": whole}))


def _without_rows(network: Network) -> dict[str, Any]:
    """What a network's source has."""
    return {
        "restricted": network.accuracy(network.model),
        "estimated_again": estimated_again(network, SEED),
        "test_images": len(network.test[1]),
        "rows": [],
    }


def _told(row: Mapping[str, Any]) -> tuple[Any, ...]:
    """What a row is of."""
    return tuple(row[key] for key in ("size", "seed", "method", "mended", "widths"))


if __name__ == "__main__":
    main(sys.argv[1:])
