"""Whether models that were tuned on some images keep their bound on others."""
