"""Take trained image classifiers apart into task-aware components, and build new ones from the pieces."""

from model_lego.adding import add_classes, replace_part
from model_lego.assembly import assemble
from model_lego.attribution import Budget, ContributionStats, Thresholds, attribute, locate, merge
from model_lego.collecting import collect
from model_lego.component import Assembly, Builder, Component, Cost, Preprocessing
from model_lego.compression import compress
from model_lego.contenders import Contender, baselines, ensemble
from model_lego.curves import Curve, curve
from model_lego.diagnosis import Diagnosis, diagnose
from model_lego.disassembly import Plan, cut, disassemble, plan
from model_lego.distillation import distill
from model_lego.errors import LegoError
from model_lego.evaluation import evaluate
from model_lego.finetuning import finetune
from model_lego.fitting import TrainingSettings
from model_lego.gain import Gain, distillation_gain
from model_lego.graph import ChannelGraph, ChannelSelection
from model_lego.nodes import NodeClassifier
from model_lego.refitting import repair
from model_lego.removing import remove_classes
from model_lego.results import Report
from model_lego.routes import ContributionMaps, DecisionRoutes, contribution_maps, decision_routes
from model_lego.store import load, load_statistics, save, save_statistics
from model_lego.surgery.plain import canonize
from model_lego.surgery.probing import trace
from model_lego.surgery.repair import RepairSettings
from model_lego.training import train
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
    "ContributionMaps",
    "ContributionStats",
    "Cost",
    "Curve",
    "DecisionRoutes",
    "Diagnosis",
    "Gain",
    "LegoError",
    "NodeClassifier",
    "Plan",
    "Preprocessing",
    "RepairSettings",
    "Report",
    "Thresholds",
    "TrainingSettings",
    "__version__",
    "add_classes",
    "assemble",
    "attribute",
    "baselines",
    "canonize",
    "collect",
    "compress",
    "contribution_maps",
    "curve",
    "cut",
    "decision_routes",
    "diagnose",
    "disassemble",
    "distill",
    "distillation_gain",
    "ensemble",
    "evaluate",
    "finetune",
    "load",
    "load_statistics",
    "locate",
    "merge",
    "plan",
    "remove_classes",
    "repair",
    "replace_part",
    "save",
    "save_statistics",
    "trace",
    "train",
    "unite",
]
