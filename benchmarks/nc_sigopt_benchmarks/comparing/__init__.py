"""Strategies compared: their runs, what is collected of them, the folder it all goes to."""
