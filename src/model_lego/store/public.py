"""The names that the store is used by, each from the module that defines it."""

from model_lego.digest import digest_of
from model_lego.store.inspecting import inspect
from model_lego.store.loading import load
from model_lego.store.manifest import Manifest
from model_lego.store.saving import save
from model_lego.store.statistics import load_statistics, save_statistics

__all__ = ["Manifest", "digest_of", "inspect", "load", "load_statistics", "save", "save_statistics"]
