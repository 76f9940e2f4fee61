"""The noun Component: a smaller network for some classes of its source."""

from collections.abc import Sequence

from torch import Tensor, nn

from model_lego.digest import digest_of
from model_lego.errors import BadConfig
from model_lego.parts.classifier import Classifier
from model_lego.parts.logits import main_logits
from model_lego.parts.origin import Origin
from model_lego.parts.preprocessing import Preprocessing
from model_lego.parts.verdict import Verdict
from model_lego.parts.wrappers import unwrapped


class Component(Classifier):
    """A smaller network for some classes of its source; called on images it gives logits in the order of `.classes`.

    `module` is an ordinary module of the source's own class. With a `preprocessing`, images are taken scaled to 0..1;
    without, as the source took them. `verdict` says how it does beside what it was made of, where that was measured.
    """

    def __init__(
        self,
        module: nn.Module,
        *,
        classes: Sequence[str],
        labels: Sequence[int],
        origin: Origin,
        preprocessing: Preprocessing | None = None,
        verdict: Verdict | None = None,
    ) -> None:
        super().__init__()
        self.module = module
        self.classes = tuple(classes)
        self.labels = tuple(labels)
        self.origin = origin
        self.preprocessing = preprocessing
        self.verdict = verdict

    def forward(self, images: Tensor) -> Tensor:
        """Give logits, batch x len(classes); floats of another precision are taken in that of the network."""
        if self.preprocessing is not None:
            images = self.preprocessing(images)
        weight = next((tensor for tensor in self.module.parameters() if tensor.is_floating_point()), images)
        if images.is_floating_point() and images.dtype != weight.dtype:
            images = images.to(weight.dtype)
        return main_logits(self.module(images))

    def __str__(self) -> str:
        before, after = self.origin.cost_before, self.origin.cost_after
        judged = "" if self.verdict is None else f"; {self.verdict}"
        return (
            f"Component({', '.join(self.classes)}; {after.parameters:,} of {before.parameters:,} parameters, "
            f"{after.macs:,} of {before.macs:,} multiply-adds{judged})"
        )

    def with_verdict(self, verdict: Verdict | None) -> "Component":
        """The same component, module included, under another verdict."""
        made = Component(
            self.module,
            classes=self.classes,
            labels=self.labels,
            origin=self.origin,
            preprocessing=self.preprocessing,
            verdict=verdict,
        )
        made.training = self.training
        return made


def check_source(source: nn.Module, component: Component) -> None:
    """Refuse a network that is not the one that a component was cut from; raises BadConfig."""
    if digest_of(unwrapped(source)) != component.origin.source_digest:
        raise BadConfig("the network given as source is not the one that this component was cut from")
