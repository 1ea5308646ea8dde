"""Tests of the collector, most of them against real servers."""
