"""Drills: the collector as it is run, under load and under faults, judged by `collector probe`."""
