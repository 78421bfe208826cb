"""A model to try everything on for whoever has none at hand: it reads handwritten digits."""
