"""Neural Compressor 2.6 to 3.7 as a host, and the strategy that it calls."""
