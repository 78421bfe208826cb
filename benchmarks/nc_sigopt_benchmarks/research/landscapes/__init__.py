"""Landscapes: what every configuration of a model costs, known in full, to race samplers on."""
