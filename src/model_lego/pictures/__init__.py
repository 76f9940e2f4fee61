"""Picture files: which there are, and what is in one."""
