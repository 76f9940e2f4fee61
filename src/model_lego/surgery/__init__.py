"""What is done to networks: slicing, checking, repair, placement in assemblies, scaling."""
