"""A parts bin: saved parts in one folder, found by name, class, source, size, accuracy and licence."""
