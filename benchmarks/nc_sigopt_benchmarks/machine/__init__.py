"""The machine: what it is, and how quiet it was."""
