"""The collector: events in over HTTP, a receipt that stays true, events out again."""
