"""The channel graph: how channels run through a network, read off its exported operators."""

from model_lego.graph.channels import ChannelGraph, ChannelGroup, Layer
from model_lego.graph.coupling import read_graph
from model_lego.graph.op_table import RULES
from model_lego.graph.selection import ChannelSelection, keep_all, select

__all__ = ["RULES", "ChannelGraph", "ChannelGroup", "ChannelSelection", "Layer", "keep_all", "read_graph", "select"]
