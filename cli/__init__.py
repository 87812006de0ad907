"""The `alteraser` command: the composition root that knows every other package."""
