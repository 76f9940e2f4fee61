"""The rows of the operator table, a file a family; `model_lego.graph.op_table` puts them together."""
