"""Components and assemblies on disk: safetensors and JSON, no pickle, no code."""

from model_lego.digest import digest_of
from model_lego.store.manifest import Manifest
from model_lego.store.reading import inspect, load
from model_lego.store.statistics import load_statistics, save_statistics
from model_lego.store.writing import save

__all__ = ["Manifest", "digest_of", "inspect", "load", "load_statistics", "save", "save_statistics"]
