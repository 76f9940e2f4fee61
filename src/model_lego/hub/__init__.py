"""Repositories on the Hugging Face Hub, and the header of a card."""
