"""Recipes: commands with their options in a YAML file, checked as a whole, run where something has changed."""
