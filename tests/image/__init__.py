"""The image: what is in it, how it runs, and that Docker brings it back with all that it acknowledged."""
