"""What a student gains by distillation: trained towards its teacher and alone, with the same budget and seed."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar, Unpack

from torch import Tensor, nn

from model_lego.calling.options import refuse_unknown, value_of
from model_lego.data.batching import Batches, checked
from model_lego.digest import digest_of
from model_lego.errors import BadConfig
from model_lego.evaluation.baselines import Contender
from model_lego.evaluation.costs import network_cost
from model_lego.evaluation.evaluating import evaluate
from model_lego.evaluation.results import Report
from model_lego.parts.assembly import Assembly
from model_lego.parts.class_names import ClassNames
from model_lego.parts.component import Component
from model_lego.parts.origin import Cost, Origin
from model_lego.parts.preprocessing import Preprocessing
from model_lego.progress import Progress, quiet
from model_lego.training import TrainingSettings
from model_lego.training.distillation import Lesson, LessonOptions, Roles, cast_roles, distill

Student = TypeVar("Student", bound=nn.Module)


class GainOptions(LessonOptions, total=False):
    """Keyword arguments of `distillation_gain`; they mean what they mean to `distill`."""

    class_names: ClassNames | None
    preprocessing: Preprocessing | None
    checkpoint: str | Path | None


@dataclass(frozen=True, slots=True, eq=False)
class Gain(Generic[Student]):
    """A student taught by distillation, the same student trained alone, and both beside the teacher."""

    taught: Student
    alone: Student
    report: Report  # the taught student, "alone" and "teacher"

    @property
    def points(self) -> float:
        """Accuracy of the taught student less that of the one trained alone, in percentage points."""
        return self.report.accuracy - self.report.row("alone").accuracy

    def __str__(self) -> str:
        return f"{self.report}\ndistillation gains {self.points:+.1f} points"


def distillation_gain(
    teacher: nn.Module,
    student: Student,
    batches: Batches,
    test: Batches,
    settings: TrainingSettings | None = None,
    *,
    progress: Progress = quiet,
    **options: Unpack[GainOptions],
) -> Gain[Student]:
    """Train a student twice, by `distill` and with labels alone, and measure both and the teacher on test images.

    Settings, seed, images and their order are the same. Arguments as for `distill`; `test` is labelled as `batches`
    are. With a `checkpoint` file both can be taken up after a kill; that of the training alone has `.alone` behind it.
    Costs are counted as `evaluate` counts them, for which a network that is no part is exported. Raises what `distill`
    and `evaluate` raise, TraceFailed and RefusedError.
    """
    refuse_unknown("distillation_gain", options, GainOptions)
    if not value_of(Lesson, options).needs_teacher:
        raise BadConfig("with hard=1 and features=0 a student is trained alone; there is nothing to compare")
    roles = cast_roles(teacher, student, options.get("preprocessing"))
    image = next(checked(test))[0][:1]
    student_cost = network_cost(student, image, roles.student)  # refused, if at all, before anything is trained
    teacher_cost = network_cost(teacher, image, roles.teacher)
    taught = distill(teacher, student, batches, settings, progress=progress, **options)
    checkpoint, class_names = options.get("checkpoint"), options.get("class_names")
    apart = None if checkpoint is None else Path(f"{checkpoint}.alone")
    by_labels: Any = {**options, **asdict(Lesson(hard=1.0)), "checkpoint": apart}
    alone = distill(teacher, student, batches, settings, progress=progress, **by_labels)
    every = tuple(range(len(roles.classes)))
    rivals = [
        Contender(
            name="alone",
            model=alone,
            columns=every,
            restricted=True,
            cost=student_cost,
            preprocessing=roles.student,
            note="the same student, trained with labels alone",
        ),
        Contender(
            name="teacher",
            model=teacher,
            columns=roles.columns or every,
            restricted=True,
            cost=teacher_cost,
            preprocessing=roles.teacher,
            note="what the student was trained towards",
        ),
    ]
    part = taught if isinstance(taught, Component | Assembly) else _as_part(taught, roles, image, student_cost)
    report = evaluate(part, test, class_names=class_names, baselines=rivals, progress=progress)
    return Gain(taught, alone, report)


def _as_part(network: nn.Module, roles: Roles, image: Tensor, cost: Cost) -> Component:
    """A network with all of its classes as a component, for the report."""
    shape = tuple(image.shape[1:])
    origin = Origin(None, digest_of(network), roles.classes, shape, {}, {}, {}, {}, cost, cost)
    labels = tuple(range(len(roles.classes)))
    return Component(network, classes=roles.classes, labels=labels, origin=origin, preprocessing=roles.student).eval()
