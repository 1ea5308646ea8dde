"""Rules that the project keeps about itself: they read its files, offline, and need no server."""
