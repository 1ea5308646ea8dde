"""Hetzner Cloud in memory: the endpoints that terraform/hetzner needs, and a client that asks them."""
