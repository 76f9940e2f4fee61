"""What an export was: the file, what it takes and gives, and how it compares with its part."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

#: Channels that ONNX Runtime takes at once, at least.
BLOCK = 8


@dataclass(frozen=True, slots=True)
class Exported:
    """A file that was written, and run in a fresh process of its `runtime` on some images, beside the part.

    `files` begins with the file itself; behind it stands what holds its weights, where these are too many for one.
    `real` says whether the images were given or are seeded patterns. Of what the file gives, `difference` is the
    largest distance to the part's, `largest` the part's largest value; `agreeing` images have the same class. Of the
    `convolutions`, `odd` ones give a number of channels that ONNX Runtime, which takes blocks of 8 or 16, takes slowly.
    """

    format: str
    files: tuple[Path, ...]
    bytes: int
    takes: str
    gives: str
    runtime: str
    images: int
    real: bool
    difference: float
    largest: float
    agreeing: int
    convolutions: int = 0
    odd: int = 0

    @property
    def file(self) -> Path:
        """The file itself."""
        return self.files[0]

    @property
    def agreement(self) -> float:
        """Images with the same class, in %."""
        return 100 * self.agreeing / self.images

    def to_dict(self) -> dict[str, Any]:
        """As JSON values."""
        return asdict(self) | {"files": [str(file) for file in self.files], "agreement": self.agreement}

    def __str__(self) -> str:
        which = "images" if self.real else "seeded images"
        return (
            f"{', '.join(map(str, self.files))}: {self.format}, {self.bytes:,} bytes; takes {self.takes}, gives "
            f"{self.gives}\n"
            f"compared in a fresh process ({self.runtime}) on {self.images} {which}: {self.gives} differ by "
            f"{self.difference:.1e} at most, where the largest is {self.largest:.3g}; the same class for "
            f"{self.agreeing} of {self.images}{self._slow()}"
        )

    def _slow(self) -> str:
        """What to do about widths that the runtime takes slowly."""
        if self.format != "onnx" or not self.odd:
            return ""
        return (
            f"\n{self.odd} of {self.convolutions} convolutions give channels in no multiple of {BLOCK}; "
            "these ONNX Runtime runs several times as long: cut with a device, or in multiples of 16"
        )
