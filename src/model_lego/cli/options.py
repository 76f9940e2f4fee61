"""Options that several commands share, each written once, and the groups in which they come (see `groups.spread`)."""

from dataclasses import asdict, dataclass, fields
from typing import Annotated, Any

import typer

from model_lego.attribution import Thresholds
from model_lego.cli import plain_options
from model_lego.data.photo_sets import CACHE
from model_lego.errors import BadConfig
from model_lego.repairing.layerwise import SECONDS, RepairSettings
from model_lego.training import TrainingSettings


def _seed(value: int) -> int:
    if not 0 <= value < 2**63:
        raise BadConfig(f"seed {value} is out of range; it goes from 0 to 2**63 - 1")
    return value


def _cache(value: int) -> int:
    if value < 0:
        raise BadConfig(f"--cache {value} is no size; give the MiB of photos to keep in memory, 0 for none")
    return value


#: How a network is named.
NAMED = "zoo:NAME, torchvision:NAME[.TAG], timm:NAME[.TAG], hf:ORG/NAME, hf:FOLDER or python:FILE.py:CALLABLE"
Name = Annotated[str, typer.Argument(help=NAMED)]
Model = Annotated[str, typer.Argument(help=f"{NAMED}, or a saved component's folder")]
Weights = Annotated[str | None, typer.Option("--weights", help="safetensors file, or what torch.save wrote")]
Pretrained = Annotated[
    bool, typer.Option("--pretrained", help="with the weights that its library publishes, fetched if need be")
]
WeightsKey = Annotated[
    str | None, typer.Option("--weights-key", help="where in the file they are, such as ema, where several fit")
]
Arguments = Annotated[
    list[str] | None, typer.Option("--argument", "-a", help="builder argument as key=value, for instance width=0.5")
]
Uncut = Annotated[
    list[str] | None,
    typer.Option("--model", help="code of your own, python:…, from whose network a saved part was cut; it then runs"),
]
Data = Annotated[
    str, typer.Option("--data", "-d", help=".npz file, image folder, torchvision:NAME (in ./data), or digits")
]
Classes = Annotated[
    list[str],
    typer.Option(
        "--classes",
        "-c",
        help="classes of the component: names, numbers or ranges, with commas or several times, or all",
    ),
]
SourceClasses = Annotated[
    list[str] | None,
    typer.Option("--source-classes", help="classes of the network in the order of its logits, or imagenet"),
]
ClassMap = Annotated[
    str | None,
    typer.Option(
        "--class-map", help="which class each of the data's is, in a .csv, .json or .yaml file: folder, then class"
    ),
]
Mean = Annotated[
    str | None,
    typer.Option("--mean", help="normalisation: imagenet, clip, half, or a number or fraction (127/255) a channel"),
]
Std = Annotated[str | None, typer.Option("--std", help="the same; a name as --mean stands for both")]
Size = Annotated[
    str | None,
    typer.Option("--size", help="pixels that images are brought to: N or HxW; with --crop the shorter side"),
]
Crop = Annotated[str | None, typer.Option("--crop", help="pixels of the middle that is then cut out: N or HxW")]
Interpolation = Annotated[str | None, typer.Option("--interpolation", help="bilinear, bicubic or nearest")]
Alpha = Annotated[float | None, typer.Option(help="threshold of equation (5), convolutions; 0.3 in the paper")]
Beta = Annotated[float | None, typer.Option(help="threshold of equation (8), convolutions; 0.2 in the paper")]
LinearAlpha = Annotated[float | None, typer.Option(help="threshold of equation (5), linear layers; 0.4 in the paper")]
LinearBeta = Annotated[float | None, typer.Option(help="threshold of equation (8), linear layers; 0.3 in the paper")]
Paper = Annotated[
    bool,
    typer.Option("--paper", help="take what the paper's thresholds leave, not the smallest that keeps its accuracy"),
]
SamplingOpt = Annotated[str, typer.Option("--sampling", help="samples of the statistics: confident, random or all")]
PerClass = Annotated[int | None, typer.Option("--per-class", help="samples a class; 1 % and at least 50 by default")]
Stats = Annotated[
    str | None, typer.Option("--stats", help="folder that model-lego attribute wrote; nothing is summed again then")
]
Multiple = Annotated[int, typer.Option("--multiple", help="round kept widths up to a multiple")]
BudgetOpt = Annotated[
    list[str] | None,
    typer.Option("--budget", help="limits: params=0.2, macs=0.3, latency=0.5, drop=0.5, …; one point lost by default"),
]
Criterion = Annotated[str | None, typer.Option("--criterion", help="by which channels are chosen within a budget")]
CurveOpt = Annotated[bool, typer.Option("--curve", help="print accuracy against size, on held-out training images")]
CurveOut = Annotated[str | None, typer.Option("--curve-out", help="draw that curve into a .png or .svg file")]
Seed = Annotated[int, typer.Option("--seed", callback=_seed, help="seed of every random choice")]
Licence = Annotated[
    str | None, typer.Option("--licence", help="of the weights, apache-2.0 for instance; by default as published")
]
Out = Annotated[str, typer.Option("--out", "-o", help="folder to write")]
OutFile = Annotated[str, typer.Option("--out", "-o", help="file to write")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="replace the folder, if its manifest proves it ours")]
Baselines = Annotated[bool, typer.Option("--baselines", help="measure beside the source and other cuts")]
Repair = Annotated[str, typer.Option("--repair", help="ridge, mean, bn, none or tuned")]
TuneSeconds = Annotated[float, typer.Option("--tune-seconds", help="how long a component is tuned")]
TuneSteps = Annotated[int | None, typer.Option("--tune-steps", help="in so many steps instead, the same on any day")]
RepairMemory = Annotated[int, typer.Option("--memory", help="MiB that scores and repair may take, images included")]
Outsiders = Annotated[
    float | None, typer.Option("--outsiders", help="share of images that may be 'none of these', for instance 0.05")
]
CalibrationData = Annotated[str | None, typer.Option("--data", "-d", help="where calibration images come from")]
Json = plain_options.Json
Cache = Annotated[
    int, typer.Option("--cache", callback=_cache, help="MiB of decoded photos that are kept in memory; 0 for none")
]
BatchSize = Annotated[int, typer.Option("--batch-size", help="images that run at once")]
HeadOpt = Annotated[str, typer.Option("--head", help="auto, concat, affine, ridge, lda or blend")]
CalibrationPerClass = Annotated[int, typer.Option("--calibration-per-class", help="calibration images a class")]

# Options of every command that trains.
Epochs = Annotated[int, typer.Option("--epochs", help="passes over the training images")]
LearningRate = Annotated[float, typer.Option("--learning-rate", help="the highest that the schedule reaches")]
Optimizer = Annotated[str, typer.Option("--optimizer", help="sgd or adamw, which transformers want")]
Momentum = Annotated[float, typer.Option("--momentum", help="of SGD with Nesterov's form")]
WeightDecay = Annotated[float, typer.Option("--weight-decay", help="of matrices and kernels, not of biases and norms")]
Schedule = Annotated[str, typer.Option("--schedule", help="one-cycle or cosine")]
Smoothing = Annotated[float, typer.Option("--smoothing", help="label smoothing")]
Clip = Annotated[float, typer.Option("--clip", help="largest norm of a step's gradient, 0 for any")]
RandomCrop = Annotated[int, typer.Option("--random-crop", help="pixels of padding for random crops, 0 for none")]
Flip = Annotated[bool, typer.Option("--flip/--no-flip", help="mirror half of the images")]
Ema = Annotated[float, typer.Option("--ema", help="decay of averaged weights, 0 for none")]
Amp = Annotated[
    bool | None, typer.Option("--amp/--no-amp", help="forward in bfloat16; by default where there is a GPU")
]
ChannelsLast = Annotated[bool, typer.Option("--channels-last", help="memory format of the network")]
Compiled = Annotated[bool, typer.Option("--compile", help="with torch.compile")]
Resume = Annotated[bool, typer.Option("--resume", help="go on where an interrupted training stopped")]
Download = Annotated[bool, typer.Option("--download", help="fetch a data set of torchvision that is not in ./data")]


#: MiB of decoded photos that are kept, unless told otherwise.
KEPT = CACHE >> 20


@dataclass(frozen=True, slots=True)
class DataOptions:
    """Where images come from, and how much of their photos is kept in memory once they were read."""

    data: Data
    cache: Cache = KEPT


@dataclass(frozen=True, slots=True)
class CalibrationOptions:
    """The same of images that a command can do without."""

    data: CalibrationData = None
    cache: Cache = KEPT

    @property
    def images(self) -> DataOptions | None:
        """Where they come from, if any are given."""
        return None if self.data is None else DataOptions(self.data, self.cache)


@dataclass(frozen=True)
class LoadingOptions:
    """How the network of a saved part is built that was cut from code of the user's own."""

    uncut: Uncut = None
    argument: Arguments = None


@dataclass(frozen=True)
class WeightsOptions:
    """Which weights a network has, and how it is built."""

    pretrained: Pretrained = False
    weights: Weights = None
    weights_key: WeightsKey = None
    argument: Arguments = None

    def __post_init__(self) -> None:
        if self.pretrained and self.weights is not None:
            raise BadConfig(f"--pretrained and --weights {self.weights} are two sets of weights; give one of them")
        if self.weights_key is not None and self.weights is None:
            raise BadConfig(f"--weights-key {self.weights_key} is a place in a weights file; give that by --weights")

    @property
    def trained(self) -> bool:
        """Whether weights are asked for."""
        return self.pretrained or self.weights is not None


@dataclass(frozen=True)
class ModelOptions(WeightsOptions, LoadingOptions):
    """How a network is opened by its name, or a saved part."""


@dataclass(frozen=True)
class NetworkOptions(ModelOptions):
    """How a network is opened, and what its classes are."""

    source_classes: SourceClasses = None
    class_map: ClassMap = None


@dataclass(frozen=True)
class PreprocessingOptions:
    """How a network takes its images."""

    mean: Mean = None
    std: Std = None
    size: Size = None
    crop: Crop = None
    interpolation: Interpolation = None

    @property
    def given(self) -> bool:
        """Whether anything is said of it."""
        return any(getattr(self, one.name) is not None for one in fields(PreprocessingOptions))


@dataclass(frozen=True)
class SourceOptions(PreprocessingOptions, NetworkOptions):
    """What opens a trained network, beside its name and its data; the network's options come first."""

    @classmethod
    def of(cls, network: NetworkOptions, taking: PreprocessingOptions) -> "SourceOptions":
        """Both halves together."""
        return cls(**asdict(network), **asdict(taking))


@dataclass(frozen=True, slots=True)
class RunOptions:
    """What ends the options of a command that writes a folder."""

    seed: Seed = 0
    batch_size: BatchSize = 128
    overwrite: Overwrite = False
    json: Json = False


@dataclass(frozen=True, slots=True)
class ThresholdOptions:
    """Which channels count as relevant."""

    alpha: Alpha = None
    beta: Beta = None
    linear_alpha: LinearAlpha = None
    linear_beta: LinearBeta = None

    def thresholds(self, *, paper: bool = False) -> Thresholds | None:
        """As the library takes them: the paper's but for those that are given; None where nothing asks for any."""
        names = ("conv_alpha", "conv_beta", "linear_alpha", "linear_beta")
        values = (self.alpha, self.beta, self.linear_alpha, self.linear_beta)
        given = {name: value for name, value in zip(names, values, strict=True) if value is not None}
        return Thresholds(**given) if given or paper else None


@dataclass(frozen=True, slots=True)
class RepairOptions:
    """How a cut is repaired, for how long, and in how much memory."""

    repair: Repair = "ridge"
    tune_seconds: TuneSeconds = SECONDS
    tune_steps: TuneSteps = None
    memory: RepairMemory = 2048

    def settings(self, seed: int) -> RepairSettings:
        """As the library takes them."""
        return RepairSettings(
            method=self.repair,  # type: ignore[arg-type]
            memory=self.memory << 20,
            seed=seed,
            seconds=self.tune_seconds,
            steps=self.tune_steps,
        )


@dataclass(frozen=True, slots=True)
class StatisticsOptions:
    """Which samples say what channels do, or where that is summed up already."""

    sampling: SamplingOpt = "confident"
    per_class: PerClass = None
    stats: Stats = None


@dataclass(frozen=True, slots=True)
class CurveOptions:
    """Whether accuracy is measured against size, and drawn."""

    curve: CurveOpt = False
    curve_out: CurveOut = None

    @property
    def wanted(self) -> bool:
        """Whether a curve is asked for in one way or the other."""
        return self.curve or self.curve_out is not None


@dataclass(frozen=True, slots=True)
class TrainingOptions:
    """How a network is trained; commands differ in their defaults, which are those of the library."""

    epochs: Epochs
    learning_rate: LearningRate
    optimizer: Optimizer
    momentum: Momentum
    weight_decay: WeightDecay
    schedule: Schedule
    smoothing: Smoothing
    clip: Clip
    random_crop: RandomCrop  # the library's crop, which is an option about the photos here
    flip: Flip
    ema: Ema
    amp: Amp
    channels_last: ChannelsLast
    compile: Compiled
    resume: Resume

    @classmethod
    def like(cls, settings: TrainingSettings) -> "TrainingOptions":
        """The options that say the same as settings of the library."""
        same = {each.name: getattr(settings, each.name) for each in fields(cls) if hasattr(settings, each.name)}
        amp = None if settings.amp == "auto" else settings.amp
        return cls(**same | {"amp": amp, "random_crop": settings.crop, "resume": False})

    def settings(self, run: RunOptions) -> TrainingSettings:
        """As the library takes them; raises BadConfig."""
        said: dict[str, Any] = {each.name: getattr(self, each.name) for each in fields(self)}
        del said["resume"]
        amp = "auto" if self.amp is None else self.amp
        crop = said.pop("random_crop")
        return TrainingSettings(**said | {"amp": amp, "crop": crop}, batch_size=run.batch_size, seed=run.seed)
