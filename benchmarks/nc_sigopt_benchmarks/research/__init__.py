"""What the strategy was built and is judged by: landscapes, races, parallel workers."""
