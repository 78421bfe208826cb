"""Backends: run, fingerprint and save the models of a framework."""
