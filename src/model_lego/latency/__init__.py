"""How long a network takes on a device, as its channels are kept: tables of times by width, and what follows."""
