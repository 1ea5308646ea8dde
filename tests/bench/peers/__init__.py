"""Peers: small honest programs that the collector is measured against.

Each listens on PORT of loopback, has POST /events, GET /events and GET /healthz, writes no access log, and runs as
one process. Those that keep events keep them in the PostgreSQL that DATABASE_URL names, one commit a request.
"""
