"""The page of a run: one HTML file that opens without a network and reads on a phone."""
