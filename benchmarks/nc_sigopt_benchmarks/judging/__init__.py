"""What a comparison found, and how sure that is: timing, intervals, verdicts."""
