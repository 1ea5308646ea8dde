"""`collector probe`: load that remembers what it was promised, readers beside it, and a verdict."""
