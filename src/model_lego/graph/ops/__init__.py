"""The rows of the operator table, a file a family; `model_lego.graph.rules` puts them together."""
