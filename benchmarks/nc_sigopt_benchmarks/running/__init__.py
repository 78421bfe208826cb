"""One run of one strategy: planned, started, watched, recorded."""
