"""Building one classifier from components."""
