"""Options that need nothing of the library, and so no torch."""

from typing import Annotated

import typer

Json = Annotated[bool, typer.Option("--json", help="print one JSON object")]
