"""Commands that the harness adds to ``nc-sigopt``: compare, record, landscape, race."""
