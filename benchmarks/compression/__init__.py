"""Compression of a trained network, all classes kept, beside other criteria at equal multiply-adds."""
