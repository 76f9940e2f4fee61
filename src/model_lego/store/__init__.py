"""Components and assemblies on disk: safetensors and JSON, no pickle, no code."""

from model_lego.digest import digest_of
from model_lego.store.loading import inspect, load
from model_lego.store.manifest import Manifest
from model_lego.store.saving import save
from model_lego.store.statistics import load_statistics, save_statistics

__all__ = ["Manifest", "digest_of", "inspect", "load", "load_statistics", "save", "save_statistics"]
