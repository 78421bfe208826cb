"""Experiments carried from one store or SigOpt server to another, by way of a file."""
