"""Image data sets: .npz files, image folders, torchvision's sets, real digits."""

from model_lego.data.registry import open_data
from model_lego.data.sets import DataSplit, ImageSet, batches, subset

__all__ = ["DataSplit", "ImageSet", "batches", "open_data", "subset"]
