"""Calibration once for all trials, held against calibration in each."""
