"""Faults: the real server as a child process, under load, and what the contract promises meanwhile."""
