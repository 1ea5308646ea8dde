"""The contract over HTTP, against a collector that runs as its users run it."""
