"""Numbers and names as they are shown."""
