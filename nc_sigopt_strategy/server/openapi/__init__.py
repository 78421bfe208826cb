"""The description of the API that ``/openapi.json`` serves, made from the engine's routes."""
