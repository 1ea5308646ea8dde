"""The probe: what it judges, what it keeps, and runs of it against real collectors."""
