"""Routes of training runs and AI experiments, which are experiments that are served by runs."""
