"""Secrets: what is given to the collector, or sent to it, to open doors with is shown nowhere."""
