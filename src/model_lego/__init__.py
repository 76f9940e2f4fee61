"""Take trained image classifiers apart into task-aware components, and build new ones from the pieces."""

from model_lego.assembly import assemble
from model_lego.attribution import Budget, ContributionStats, Thresholds, attribute, locate, merge
from model_lego.collecting import collect
from model_lego.component import Assembly, Builder, Component, Cost, Preprocessing
from model_lego.contenders import Contender, baselines, ensemble
from model_lego.curves import Curve, curve
from model_lego.diagnosis import Diagnosis, diagnose
from model_lego.disassembly import Plan, cut, disassemble, plan
from model_lego.errors import LegoError
from model_lego.evaluation import evaluate
from model_lego.graph import ChannelGraph, ChannelSelection
from model_lego.nodes import NodeClassifier
from model_lego.refitting import repair
from model_lego.results import Report
from model_lego.store import load, load_statistics, save, save_statistics
from model_lego.surgery.plain import canonize
from model_lego.surgery.probing import trace
from model_lego.surgery.repair import RepairSettings
from model_lego.training import TrainingSettings, train
from model_lego.uniting import unite
from model_lego.version import __version__

__all__ = [
    "Assembly",
    "Budget",
    "Builder",
    "ChannelGraph",
    "ChannelSelection",
    "Component",
    "Contender",
    "ContributionStats",
    "Cost",
    "Curve",
    "Diagnosis",
    "LegoError",
    "NodeClassifier",
    "Plan",
    "Preprocessing",
    "RepairSettings",
    "Report",
    "Thresholds",
    "TrainingSettings",
    "__version__",
    "assemble",
    "attribute",
    "baselines",
    "canonize",
    "collect",
    "curve",
    "cut",
    "diagnose",
    "disassemble",
    "ensemble",
    "evaluate",
    "load",
    "load_statistics",
    "locate",
    "merge",
    "plan",
    "repair",
    "save",
    "save_statistics",
    "trace",
    "train",
    "unite",
]
