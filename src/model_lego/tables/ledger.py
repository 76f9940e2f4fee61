"""Result files: one a table and scale, a JSON object with the figures of each row and seed."""

import json
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from model_lego.errors import BadConfig
from model_lego.store.outputs import writing
from model_lego.tables.recipe import Materials, Row, Scale, fingerprint
from model_lego.tables.recipes import Table


@dataclass(frozen=True, slots=True)
class Ledger:
    """The results of one table at one scale, in a folder; written whole after each row."""

    table: Table
    scale: Scale
    folder: Path
    materials: Materials

    @property
    def file(self) -> Path:
        """Where they stand."""
        return self.folder / f"{self.table.name}-{self.scale}.json"

    def rows(self) -> dict[str, Any]:
        """All rows, by name; raises BadConfig for a damaged file."""
        if not self.file.is_file():
            return {}
        try:
            rows: dict[str, Any] = json.loads(self.file.read_text(encoding="utf-8"))["rows"]
        except (ValueError, KeyError, TypeError) as error:
            raise BadConfig(f"'{self.file}' is no result file of ours: {error}; remove it") from error
        return rows

    def seeds(self, row: Row) -> dict[int, dict[str, Any]]:
        """What is there of a row, by seed; results of an older recipe do not count."""
        seeds = self.rows().get(row.id, {})
        return {
            int(seed): entry
            for seed, entry in seeds.items()
            if entry.get("recipe") == self.mark(row) and int(seed) in row.seeds
        }

    def mark(self, row: Row) -> str:
        """A digest of all that a row's figures depend on."""
        known = self.materials
        sources = {name: known.sources[name] for name in row.needs}
        data = {source.data: known.data[source.data] for source in sources.values()}
        plain = [
            {
                name: recipe.model_dump(mode="json", exclude={"minutes"}, exclude_none=True)
                for name, recipe in some.items()
            }
            for some in (sources, data)
        ]
        return fingerprint([self.table.kind, row.measured, *plain])

    def write(self, row: Row, seed: int, entry: Mapping[str, Any]) -> None:
        """Put the result of a row with a seed into the file, whole or not at all."""
        rows = self.rows()
        kept = {other: entry for other, entry in rows.get(row.id, {}).items() if entry.get("recipe") == self.mark(row)}
        made = {"recipe": self.mark(row), "torch": torch.__version__, "python": platform.python_version()}
        rows[row.id] = kept | {str(seed): made | dict(entry)}
        text = json.dumps({"table": self.table.name, "scale": self.scale, "rows": rows}, indent=1, sort_keys=True)
        with writing(self.file):
            self.folder.mkdir(parents=True, exist_ok=True)
            fresh = self.file.with_name(f"{self.file.name}.part")
            fresh.write_text(text + "\n", encoding="utf-8")
            fresh.replace(self.file)
