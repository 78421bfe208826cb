"""Which models of a run are kept, which one is returned, and why."""
