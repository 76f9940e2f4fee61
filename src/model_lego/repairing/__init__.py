"""Refitting cut networks in closed form, so that they give what their source gave."""
