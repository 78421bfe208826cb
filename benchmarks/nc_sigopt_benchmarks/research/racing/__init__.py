"""``nc-sigopt race``: samplers and other strategies against landscapes whose optimum is known."""
