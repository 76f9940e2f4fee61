"""Measurements of accuracy, time and memory; their results are recorded in benchmarks/results."""
