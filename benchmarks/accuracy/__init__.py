"""Accuracy of components and assemblies on CIFAR-10, three seeds of the calibration sample; writes docs/accuracy.md."""
