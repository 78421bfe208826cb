"""Models of any runtime, each opened in a process and an environment of its own.

What runs in such a process imports numpy, its runtime and the standard library, so that an
environment needs nothing of the harness installed.
"""
