"""One run, from the first suggestion to the model that is returned; ``loop`` is where to start."""
