"""How many channels, and which: criteria, sensitivity, the order of removal, and the search within a budget."""
