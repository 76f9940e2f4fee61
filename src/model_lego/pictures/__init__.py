"""Picture files: which there are, what is in one, and how it comes in the colours and size of a network."""
