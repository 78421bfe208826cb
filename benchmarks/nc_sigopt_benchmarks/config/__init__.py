"""Run configurations: the YAML file, its schema, and what it says as typed values."""
