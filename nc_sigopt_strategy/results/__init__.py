"""A trial and a run as data, and as the files of a run folder."""
