"""The channel graph: how channels run through a network, read off its exported operators."""

from model_lego.graph.ir import ChannelGraph, ChannelGroup, Layer
from model_lego.graph.rules import RULES
from model_lego.graph.selection import ChannelSelection, keep_all, select
from model_lego.graph.tracing import read_graph

__all__ = ["RULES", "ChannelGraph", "ChannelGroup", "ChannelSelection", "Layer", "keep_all", "read_graph", "select"]
