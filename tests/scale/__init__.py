"""Beyond one log: an experiment with sources over several PostgreSQL servers. Nothing of it is in `app`."""
