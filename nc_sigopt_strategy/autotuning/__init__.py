"""Tuning a given model with the host that suits it, or with every host that reads it."""
