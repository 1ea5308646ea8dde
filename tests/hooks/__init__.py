"""Webhooks: what each sender sends, and that nobody else is taken for it."""
