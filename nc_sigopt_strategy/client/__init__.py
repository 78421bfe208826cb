"""The official client's connections, to the engine here or to a server, and what can be wrong."""
