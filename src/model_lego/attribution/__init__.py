"""Which channels decide for which class: contributions, their statistics, relevance."""

from model_lego.attribution.attributing import attribute
from model_lego.attribution.merging import merge
from model_lego.attribution.relevance import Relevance, locate, relevance
from model_lego.attribution.sampling import Sampling
from model_lego.attribution.statistics import ContributionStats
from model_lego.attribution.thresholds import Thresholds

__all__ = [
    "ContributionStats",
    "Relevance",
    "Sampling",
    "Thresholds",
    "attribute",
    "locate",
    "merge",
    "relevance",
]
