"""The public names, each from the module that defines it."""

from model_lego.assembly.assembling import assemble
from model_lego.assembly.uniting import unite
from model_lego.attribution import ContributionStats, Thresholds, attribute, locate, merge
from model_lego.budgets.budget import Budget
from model_lego.class_surgery.adding import add_classes, replace_part
from model_lego.class_surgery.removing import remove_classes
from model_lego.cutting.canonizing import canonize
from model_lego.cutting.tracing import trace
from model_lego.disassembly.compressing import compress
from model_lego.disassembly.diagnosing import Diagnosis, diagnose
from model_lego.disassembly.disassembling import Plan, cut, disassemble, plan
from model_lego.disassembly.size_curve import Curve, curve
from model_lego.errors import LegoError
from model_lego.evaluation.baselines import Contender, baselines, ensemble
from model_lego.evaluation.evaluating import evaluate
from model_lego.evaluation.results import Report
from model_lego.exporting.exporting import export
from model_lego.exporting.layer_times import latency_table
from model_lego.exporting.quantizing import Quantized, quantize
from model_lego.exporting.results import Exported
from model_lego.graph import ChannelGraph, ChannelSelection
from model_lego.latency.device import Device
from model_lego.latency.table import LatencyTable, load_latency_table, save_latency_table
from model_lego.models.network import Network
from model_lego.models.node_classifier import NodeClassifier
from model_lego.models.opening import open_network
from model_lego.parts.assembly import Assembly
from model_lego.parts.at_once import parts_run
from model_lego.parts.component import Component
from model_lego.parts.origin import Builder, Cost
from model_lego.parts.predictions import Prediction, Predictions
from model_lego.parts.preprocessing import Preprocessing
from model_lego.parts.provenance import Provenance
from model_lego.parts.verdict import Concern, DoubtfulResult, Verdict
from model_lego.parts_bin.binned import BinnedPart
from model_lego.parts_bin.keeping import bin_add, bin_gc, bin_remove, bin_verify
from model_lego.parts_bin.searching import bin_search
from model_lego.repairing.layerwise import RepairSettings
from model_lego.repairing.refitting import repair
from model_lego.routes import (
    ContributionMaps,
    DecisionRoutes,
    TopImages,
    contribution_maps,
    decision_routes,
    top_images,
)
from model_lego.store import load, load_statistics, save, save_statistics
from model_lego.store.collecting import collect
from model_lego.store.sharing import from_hub, push_to_hub
from model_lego.training import TrainingSettings
from model_lego.training.classifier import train
from model_lego.training.distillation import distill
from model_lego.training.distillation_gain import Gain, distillation_gain
from model_lego.training.finetuning import finetune
from model_lego.version import __version__

__all__ = [
    "Assembly",
    "BinnedPart",
    "Budget",
    "Builder",
    "ChannelGraph",
    "ChannelSelection",
    "Component",
    "Concern",
    "Contender",
    "ContributionMaps",
    "ContributionStats",
    "Cost",
    "Curve",
    "DecisionRoutes",
    "Device",
    "Diagnosis",
    "DoubtfulResult",
    "Exported",
    "Gain",
    "LatencyTable",
    "LegoError",
    "Network",
    "NodeClassifier",
    "Plan",
    "Prediction",
    "Predictions",
    "Preprocessing",
    "Provenance",
    "Quantized",
    "RepairSettings",
    "Report",
    "Thresholds",
    "TopImages",
    "TrainingSettings",
    "Verdict",
    "__version__",
    "add_classes",
    "assemble",
    "attribute",
    "baselines",
    "bin_add",
    "bin_gc",
    "bin_remove",
    "bin_search",
    "bin_verify",
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
    "export",
    "finetune",
    "from_hub",
    "latency_table",
    "load",
    "load_latency_table",
    "load_statistics",
    "locate",
    "merge",
    "open_network",
    "parts_run",
    "plan",
    "push_to_hub",
    "quantize",
    "remove_classes",
    "repair",
    "replace_part",
    "save",
    "save_latency_table",
    "save_statistics",
    "top_images",
    "trace",
    "train",
    "unite",
]
