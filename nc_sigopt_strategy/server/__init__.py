"""``nc-sigopt serve``: the embedded engine behind a socket, for any program of the client."""
