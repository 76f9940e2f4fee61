"""Cutting networks for real: slicing, verification, tracing with trial cuts, plain layers for computed weights."""
