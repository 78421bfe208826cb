"""What is known of an experiment in this process: its description, its points, which are best."""
