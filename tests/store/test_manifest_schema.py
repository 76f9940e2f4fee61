"""The published JSON Schema of manifests is what the models in the code say, in words that all its readers know."""

import json
import re
from pathlib import Path

from model_lego.store.manifest_text import json_schema

PUBLISHED = Path(__file__).parents[2] / "docs" / "manifest.schema.json"


def test_the_published_schema_is_that_of_the_models():
    assert PUBLISHED.read_text(encoding="utf-8") == json_schema(), "run `make schema`"


def patterns(schema):
    """All regular expressions of a schema."""
    for key, value in schema.items() if isinstance(schema, dict) else enumerate(schema):
        if key == "pattern":
            yield value
        elif key == "patternProperties":
            yield from value
        elif isinstance(value, dict | list):
            yield from patterns(value)


def test_its_patterns_are_those_that_every_reader_of_json_schema_knows():
    found = [*patterns(json.loads(json_schema()))]
    assert len(found) > 4
    for pattern in found:
        assert re.compile(pattern)  # Python knows no classes of Unicode, \P{C}
        assert not re.search(r"\\[AzZ]", pattern)  # ECMA does not know these
