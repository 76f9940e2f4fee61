"""Classes out of a part, into a part, and parts exchanged."""
