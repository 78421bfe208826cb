"""What an experiment calls the metrics that every trial has."""

from __future__ import annotations

ACCURACY = "accuracy"
LATENCY = "latency"
OUTPUT_NOISE = "output_noise"
DURATION = "duration"
OWN = (ACCURACY, LATENCY, DURATION, OUTPUT_NOISE)

# SigOpt's limits.
MAX_METRICS = 50
MAX_NAME_LENGTH = 100
