"""How parts are named where they are no folder: in a bin, on the Hub."""
