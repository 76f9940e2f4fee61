"""Networks with norms over channels and with attention, cut beside baselines, and joined with convolutional ones."""
