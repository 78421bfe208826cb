"""What one worker runs: a model, data to judge it by, a bound, a budget; and how it is run."""
