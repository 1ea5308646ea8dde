"""systemd: what the service tells it, and the units that it reads."""
