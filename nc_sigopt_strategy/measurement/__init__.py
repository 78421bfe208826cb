"""Latency, accuracy and output noise of a model."""
