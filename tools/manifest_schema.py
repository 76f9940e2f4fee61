"""Write the JSON Schema of manifests, docs/manifest.schema.json, as the models in the code have it: `make schema`."""

from pathlib import Path

from model_lego.store.manifest_text import json_schema

SCHEMA = Path(__file__).resolve().parent.parent / "docs" / "manifest.schema.json"


if __name__ == "__main__":
    SCHEMA.write_text(json_schema(), encoding="utf-8", newline="\n")
