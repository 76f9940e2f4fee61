"""Whether a part was calibrated on the very images that it is measured on."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from torch import Tensor

from model_lego.digest import SEEN, image_digests, unpacked
from model_lego.parts.assembly import Assembly
from model_lego.parts.component import Component
from model_lego.processes import Group, in_all


@dataclass(slots=True, eq=False)
class Overlap:
    """Counts the test images that are among the calibration images of a part or of what it was built from."""

    seen: Mapping[str, set[bytes]]  # whose calibration -> digests of its images
    hits: dict[str, int] = field(default_factory=dict)
    images: int = 0  # that were used for any calibration
    total: int = 0

    def add(self, images: Tensor) -> None:
        """Look at a batch, as it was given."""
        self.total += len(images)
        if not self.seen:
            return
        for digest in image_digests(images):
            users = [name for name, seen in self.seen.items() if digest in seen]
            self.images += bool(users)
            for name in users:
                self.hits[name] = self.hits.get(name, 0) + 1

    def gather(self, group: Group) -> None:
        """Add up what all processes found."""
        everyones = in_all(lambda: (self.hits, self.images, self.total), group)
        self.hits = {name: sum(hits.get(name, 0) for hits, _, _ in everyones) for name in self.seen}
        self.images, self.total = (sum(one[place] for one in everyones) for place in (1, 2))  # type: ignore[misc]

    def notes(self) -> tuple[str, ...]:
        """What has to be said about it."""
        if not self.images:
            return ()
        users = " and ".join(name for name, hits in self.hits.items() if hits)
        return (
            f"{self.images} of {self.total} test images were used for calibration of {users}, so that these figures "
            "are too good; measure on images that were not, or calibrate on others",
        )


def overlap_with(part: Component | Assembly) -> Overlap:
    """What to look for, read off the settings of a part; raises CorruptComponent."""
    seen = {name: _digests(settings) for name, settings in _settings(part).items()}
    return Overlap({name: digests for name, digests in seen.items() if digests})


def _digests(settings: object) -> set[bytes]:
    """What settings tell of, at any depth: a component that was united has those of its parts inside."""
    if isinstance(settings, Mapping):
        return set().union(*(unpacked(one) if key == SEEN else _digests(one) for key, one in settings.items()))
    return set().union(*map(_digests, settings)) if isinstance(settings, list) else set()


def _settings(part: Component | Assembly) -> dict[str, object]:
    """Settings of a part, of an assembly also those of its parts, by the words for whose they are."""
    if not isinstance(part, Assembly):
        return {"the component": part.origin.settings}
    if part.padded is not None:
        listed = part.padded.origin.settings.get("padded")
        inner = listed if isinstance(listed, list) else [part.padded.origin.settings]
    else:
        inner = [_told(network) for network in part.networks()]
    joined = {"the assembly": {SEEN: part.record.calibration_digests}}
    return joined | {f"part {number}": settings for number, settings in enumerate(inner, 1)}


def _told(part: Component | Assembly) -> object:
    """Settings of a part of an assembly; of an assembly inside all of them, by whose they are."""
    return part.origin.settings if isinstance(part, Component) else _settings(part)
