"""What all records of a manifest have in common: exact types, no unknown keys, no change."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Count = Annotated[int, Field(ge=0, lt=2**63)]
Size = Annotated[int, Field(gt=0, lt=2**31)]


class Record(BaseModel):
    """Base of all records: exact types, no unknown keys, no change."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, defer_build=True)  # once, with the whole
