"""What stands behind the parts of an assembly: heads fitted to calibration images, scaling, rejection."""
