"""Models that the harness makes or finds."""
