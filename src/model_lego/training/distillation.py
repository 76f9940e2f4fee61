"""distill: train a smaller network towards what a component, an assembly or any classifier gives."""

import math
from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypedDict, TypeVar, Unpack

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from model_lego.calling.options import refuse_unknown, value_of
from model_lego.data.batching import Batches
from model_lego.digest import digest_of
from model_lego.errors import BadConfig, IncompatibleComponents, ShapeMismatch, UnknownClass
from model_lego.graph.modules import first_parameter
from model_lego.heads.features import logit_layers, parts_layers
from model_lego.parts.assembly import Assembly, rejects
from model_lego.parts.class_names import ClassNames, names_for, places_of
from model_lego.parts.component import Component
from model_lego.parts.image_shapes import Shape, taken_by
from model_lego.parts.layer_inputs import pooled, run_and_hear
from model_lego.parts.logits import main_logits
from model_lego.parts.preprocessing import Preprocessing
from model_lego.progress import Progress, quiet
from model_lego.training import Goal, TrainingSettings, fit
from model_lego.training.examples import streamed
from model_lego.training.finetuning import noted, record_of, trainable_head
from model_lego.training.judging import judged

Student = TypeVar("Student", bound=nn.Module)

#: How a student is trained by default: from the start, in mixed precision on a GPU.
FROM_THE_START = TrainingSettings(learning_rate=0.05, clip=1.0, crop=0, flip=False, amp="auto")

TEACHER = "its teacher over the same classes"


class LessonOptions(TypedDict, total=False):
    """Keyword arguments that say what a student's loss is made of: those of a `Lesson`."""

    temperature: float
    hard: float
    features: float


@dataclass(frozen=True, slots=True)
class Lesson:
    """What a student's loss is made of; raises BadConfig.

    `(1 - hard) T^2 KL(teacher / T, student / T) + hard cross-entropy(labels) + features |map(student's) - teacher's|^2
    / |teacher's|^2`, the last one over what the layers read that make the logits (Hinton et al., 2015; Romero et al.,
    2015).
    """

    temperature: float = 2.0
    hard: float = 0.5
    features: float = 0.0

    def __post_init__(self) -> None:
        if not (self.temperature > 0 and math.isfinite(self.temperature)):
            raise BadConfig(f"temperature {self.temperature} has to be more than 0")
        if not 0 <= self.hard <= 1:
            raise BadConfig(f"hard {self.hard} is the labels' share of the loss; it has to be from 0 to 1")
        if not (self.features >= 0 and math.isfinite(self.features)):
            raise BadConfig(f"features {self.features} is the weight of a term of the loss; it cannot be negative")

    @property
    def needs_teacher(self) -> bool:
        """Whether anything but the labels counts."""
        return self.hard < 1 or self.features > 0


def distill(
    teacher: nn.Module,
    student: Student,
    batches: Batches,
    settings: TrainingSettings | None = None,
    *,
    class_names: ClassNames | None = None,
    preprocessing: Preprocessing | None = None,
    checkpoint: str | Path | None = None,
    progress: Progress = quiet,
    **options: Unpack[LessonOptions],
) -> Student:
    """Train a copy of a student towards a teacher and give it in eval mode; both are left as they are.

    Args:
        teacher: a component, an assembly, or any classifier; it runs in eval mode.
        student: any network with a logit for each class of the teacher, in their order; or a component or an assembly
            for some of the teacher's classes, such as a component of the teacher itself.
        batches: re-iterable of (images, labels), images as teacher and student take them. With `hard` 0 labels are not
            looked at, and batches of images alone will do; else labels are positions in the student's classes unless
            `class_names` names them, and images of other classes are left out.
        settings: how it is trained.
        class_names: names of the label numbers.
        preprocessing: of a network that is no component or assembly, for images in 0..1; the source of a component has
            that of the component by default.
        checkpoint: a file that the state is kept in; after a kill the same call ends in the same student.
        progress: called with what is being done.
        options: of the loss. `temperature` (2) divides the logits of both before they are compared; `hard` (0.5) is the
            share of the loss that the labels have, 1 trains the student alone; `features` (0) is the weight of a term
            that brings what the student's last layer reads, mapped by a linear layer that is learned and then thrown
            away, to what the teacher's reads.

    Returns:
        The trained student; of a component or an assembly `settings["distilled"]` tells of it, as after `finetune`, and
        its `verdict` compares it with the teacher on images that it was trained on, where they have labels.

    Raises:
        BadBatches, BadConfig, EmptySelection, ShapeMismatch, TrainingFailed, UnknownClass.
    """
    refuse_unknown("distill", options, LessonOptions)
    settings, lesson = settings or FROM_THE_START, value_of(Lesson, options)
    roles = cast_roles(teacher, student, preprocessing)
    known = names_for(student, class_names) if isinstance(student, Component | Assembly) else class_names
    places = None if lesson.hard == 0 else places_of(roles.classes, known, rejecting=roles.rejecting)
    images = streamed(batches, places, roles.shape, progress, what=f"the classes {', '.join(roles.classes[:10])}")
    pupil = deepcopy(student).eval()
    model = deepcopy(teacher).eval().requires_grad_(False)
    _check_widths(model, pupil, roles, images.example)
    learner, target = _pair(model, pupil, roles, lesson, images.example, settings)

    def loss(call: Callable[[Tensor], Any], x: Tensor, labels: Tensor) -> Tensor:
        return _loss(call(x), target(x) if lesson.needs_teacher else None, labels, lesson, settings.smoothing)

    identity = {"teacher": digest_of(teacher), "student": digest_of(student), "digest": images.digest}
    with trainable_head(pupil):
        fit(
            Goal(learner, loss, identity=identity | asdict(lesson), others=(model,) if lesson.needs_teacher else ()),
            images,
            settings,
            checkpoint=None if checkpoint is None else Path(checkpoint),
            what="distilling",
            progress=progress,
        )
    if isinstance(pupil, Component | Assembly):
        record = record_of(settings, len(images), images.digest) | asdict(lesson)
        record |= {"teacher_digest": identity["teacher"]}
        if isinstance(pupil, Component) and roles.rejecting:
            record |= {"rejects": True}
        done = noted(pupil, "distilled", record)
        return judged(done, _restricted(model, roles), TEACHER, batches, places, roles.shape)
    return pupil


def _restricted(teacher: nn.Module, roles: "Roles") -> Callable[[Tensor], Tensor]:
    """What the teacher answers for the student's classes alone."""

    def answer(images: Tensor) -> Tensor:
        seen = images.to(first_parameter(teacher))
        logits = main_logits(teacher(seen if roles.teacher is None else roles.teacher(seen)))
        return logits if roles.columns is None else logits[:, list(roles.columns)]

    return answer


@dataclass(frozen=True, slots=True)
class Roles:
    """Who gives which classes: the student's, the teacher's columns for them, and how each takes its images."""

    classes: tuple[str, ...]
    columns: tuple[int, ...] | None  # None: all of the teacher's, in their order
    shape: Shape
    teacher: Preprocessing | None
    student: Preprocessing | None
    rejecting: bool = False  # whether the last class is "none of these"


def cast_roles(teacher: nn.Module, student: nn.Module, preprocessing: Preprocessing | None) -> Roles:
    """Find out which of the teacher's classes the student learns; raises BadConfig, UnknownClass."""
    if isinstance(student, Component | Assembly):
        if isinstance(teacher, Component | Assembly):
            missing = [name for name in student.classes if name not in teacher.classes]
            if missing:
                raise UnknownClass(f"the teacher has no class '{missing[0]}'; it has {', '.join(teacher.classes[:10])}")
            columns = tuple(teacher.classes.index(name) for name in student.classes)
            rejecting = student.classes[-1:] == teacher.classes[-1:] and (rejects(student) or rejects(teacher))
            return Roles(student.classes, columns, taken_by(student, teacher), None, None, rejecting)
        if isinstance(student, Assembly):
            raise BadConfig("the teacher of an assembly has to be a component or an assembly, whose classes have names")
        known = preprocessing or student.preprocessing
        return Roles(student.classes, student.labels, taken_by(student), known, None, rejects(student))
    if isinstance(teacher, Component | Assembly):
        return Roles(teacher.classes, None, taken_by(teacher), None, preprocessing, rejects(teacher))
    raise BadConfig("neither teacher nor student says what its classes are; one has to be a component or an assembly")


class _Learner(nn.Module):
    """A network with its preprocessing; gives logits and, mapped by a linear layer, what its last layers read."""

    def __init__(
        self, network: nn.Module, preprocessing: Preprocessing | None, reads: Sequence[Any], mapping: nn.Module | None
    ) -> None:
        super().__init__()
        self.network, self.preprocessing, self.reads, self.mapping = network, preprocessing, tuple(reads), mapping

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor | None]:
        if self.preprocessing is not None:
            images = self.preprocessing(images)
        if not self.reads:
            return main_logits(self.network(images)), None
        logits, features = _heard(self.network, self.reads, images)
        return logits, features if self.mapping is None else self.mapping(features)


def _pair(
    teacher: nn.Module, student: nn.Module, roles: Roles, lesson: Lesson, example: Tensor, settings: TrainingSettings
) -> tuple[_Learner, Callable[[Tensor], tuple[Tensor, Tensor | None]]]:
    """The student as it is trained, and its target: from images to the teacher's logits and features."""
    if lesson.features and settings.compile:
        raise BadConfig("what a layer reads cannot be had of a compiled network; leave features or compile out")
    pairs = (("student", student, roles.student), ("teacher", teacher, roles.teacher))
    reads = [
        _reads(network, preprocessing, example, role) if lesson.features else ()
        for role, network, preprocessing in pairs
    ]
    knower = _Learner(teacher, roles.teacher, reads[1], None).eval()
    columns = None if roles.columns is None else list(roles.columns)
    kind = first_parameter(teacher)

    @torch.no_grad()
    def target(x: Tensor) -> tuple[Tensor, Tensor | None]:
        logits, features = knower(x.to(kind.dtype))
        return (logits if columns is None else logits[:, columns]), features

    learner = _Learner(student, roles.student, reads[0], None).eval()
    if lesson.features:
        with torch.no_grad():
            (_, ours), (_, theirs) = (each(example.to(first_parameter(each.network))) for each in (learner, knower))
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(settings.seed)
            learner.mapping = nn.Linear(ours.shape[1], theirs.shape[1]).to(first_parameter(student))
    return learner, target


def _loss(
    given: tuple[Tensor, Tensor | None],
    target: tuple[Tensor, Tensor | None] | None,
    labels: Tensor,
    lesson: Lesson,
    smoothing: float,
) -> Tensor:
    logits, mapped = given
    total = logits.new_zeros(())
    if lesson.hard > 0:
        total = total + lesson.hard * F.cross_entropy(logits, labels, label_smoothing=smoothing)
    if target is None:
        return total
    wanted, features = target
    if lesson.hard < 1:
        ours, theirs = ((each / lesson.temperature).log_softmax(1) for each in (logits, wanted.to(logits)))
        apart = F.kl_div(ours, theirs, log_target=True, reduction="batchmean")
        total = total + (1 - lesson.hard) * lesson.temperature**2 * apart
    if mapped is not None and features is not None:
        features = features.to(mapped)
        total = total + lesson.features * F.mse_loss(mapped, features) / features.square().mean().clamp(min=1e-12)
    return total


def _reads(network: nn.Module, preprocessing: Preprocessing | None, example: Tensor, role: str) -> tuple[Any, ...]:
    """Paths of the layers that make the logits; of an assembly those of each of its parts. Raises BadConfig."""
    x = example.to(first_parameter(network)).expand(2, -1, -1, -1)
    try:
        if isinstance(network, Assembly):
            return parts_layers(network.networks(), x)
        if isinstance(network, Component):
            return tuple(f"module.{path}" for path in parts_layers([network], x)[0])
        return logit_layers(network, x if preprocessing is None else preprocessing(x))
    except IncompatibleComponents as error:
        reason = str(error).partition("; use head=")[0]
        raise BadConfig(f"the {role}'s features cannot be had: {reason}; leave features out") from error


def _heard(network: nn.Module, reads: tuple[Any, ...], images: Tensor) -> tuple[Tensor, Tensor]:
    """Logits of a network, and what some of its layers read, one vector an image."""
    if isinstance(network, Assembly):
        features, joined = network.features(images, reads)
        return network.told(network.head(features if network.head.reads else joined)), features
    given, heard = run_and_hear(network, reads, images)
    return given, torch.cat([pooled(x, network.get_submodule(path)) for path, x in heard.items()], 1)


@torch.no_grad()
def _check_widths(teacher: nn.Module, student: nn.Module, roles: Roles, example: Tensor) -> None:
    """Refuse networks that do not take the images, or do not give the classes."""
    least = len(roles.classes) if roles.columns is None else 1 + max(roles.columns)
    for role, network, preprocessing in (("teacher", teacher, roles.teacher), ("student", student, roles.student)):
        x = example.to(first_parameter(network))
        try:
            logits = main_logits(network(x if preprocessing is None else preprocessing(x)))
        except RuntimeError as error:
            raise ShapeMismatch(
                f"the {role} does not take images of shape {tuple(example.shape[1:])}: {error}"
            ) from error
        fits = logits.dim() == 2 and logits.shape[1] >= least
        if role == "student":
            fits = logits.dim() == 2 and logits.shape[1] == len(roles.classes)
        if not fits:
            raise ShapeMismatch(
                f"the {role} gives {tuple(logits.shape[1:])} numbers an image, which are not the classes "
                f"{', '.join(roles.classes[:10])}"
            )
