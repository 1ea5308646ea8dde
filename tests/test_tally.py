"""Tallies: the library's text of what they counted."""

from prometheus_client import CollectorRegistry, Histogram, generate_latest

from app.tally import Spread, Tally

AMOUNTS = (0.0, 0.1, 0.5, 0.50001, 1, 7)


def test_a_tally_shows_each_label_with_its_count() -> None:
    registry, tally = CollectorRegistry(), Tally("things", "Things.", "kind")
    registry.register(tally)
    tally.counts["a"] += 2
    tally.counts['b"\n'] += 1
    assert generate_latest(registry).decode().splitlines()[2:] == [
        'things_total{kind="a"} 2.0',
        'things_total{kind="b\\"\\n"} 1.0',
    ]


def test_a_spread_shows_what_the_librarys_histogram_shows() -> None:
    registry, spread = CollectorRegistry(), Spread("seconds", "Time.", "route", (0.1, 0.5, 1))
    registry.register(spread)
    other = CollectorRegistry()
    histogram = Histogram("seconds", "Time.", ["route"], buckets=(0.1, 0.5, 1), registry=other)
    for amount in AMOUNTS:
        spread.observe("r", amount)
        histogram.labels("r").observe(amount)
    ours, theirs = generate_latest(registry).decode(), generate_latest(other).decode()
    assert sorted(ours.splitlines()) == sorted(line for line in theirs.splitlines() if "_created" not in line)
