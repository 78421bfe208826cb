"""The harness: runs strategies on the same model, times what they find, writes a run folder."""
