"""The page: a verdict for people, on a terminal of 80 columns."""

import textwrap
from collections.abc import Iterator, Mapping

from app.probe.verdict import NAMED, OK, Bite, Verdict

WIDTH = 79
HEADLINES = {
    "clean": "CLEAN: every promise was kept",
    "broken": "BROKEN: a promise was not kept",
    "untested": "UNTESTED: this run proves nothing",
}
MEANINGS = {
    "lost": "acknowledged, and not there",
    "phantom": "there, and never sent",
    "refused_but_stored": "there, and answered: not kept",
    "doubled": "there more than once",
    "corrupted": "there, and not what was sent",
    "stale": "not in a read that began after its receipt",
}
HONESTY = "What was hurt here were processes and connections. No power was cut: a disk that lies is not found out."


def page(verdict: Verdict) -> str:
    """All of it."""
    return "\n".join(line.rstrip() for line in _lines(verdict))


def _lines(verdict: Verdict) -> Iterator[str]:
    yield HEADLINES[verdict.verdict]
    for reason in verdict.reasons:
        yield from _wrapped("  - ", reason)
    yield ""
    yield from _said("run", *_run(verdict))
    yield ""
    yield from _requests(verdict)
    yield ""
    yield from _promises(verdict)
    yield ""
    yield from _said(
        "views", ", ".join(f"{name} {'agrees' if said == OK else said}" for name, said in verdict.views.items())
    )
    yield from _said("available", *_availability(verdict))
    yield from _said("latency", *_latencies(verdict))
    yield from _said("/readyz", _health(verdict.health))
    for bite in verdict.faults:
        yield from _said(f"fault {bite.fault}", _fault(bite))
    yield ""
    yield from _said("proof", *_proof(verdict))


def _run(verdict: Verdict) -> Iterator[str]:
    run = verdict.run
    urls = run["urls"]
    yield f"{run['id']}, {', '.join(urls) if isinstance(urls, list) else urls}"
    load = f"{run['rate']:g} requests a second for {run['seconds']:g} s, {run['workers']} workers"
    batch = f", {run['batch']} events a request" if run["batch"] != 1 else ""
    yield f"{load}{batch}, {'with' if run['retry'] else 'without'} retries, seed {run['seed']}"
    yield f"collector {run['version'] or 'of unknown version'}, source {run['source']}"


def _requests(verdict: Verdict) -> Iterator[str]:
    requests, events = verdict.requests, verdict.events
    by_status = ", ".join(f"{count:,} × {status}" for status, count in requests.by_status.items())
    yield from _said(
        "requests", f"{requests.sent:,} sent, {requests.attempts:,} attempts: {by_status or 'no answer'}"
    )
    yield f"{requests.errors_without_retry:>14,}  errors without retry (of the first attempts)"
    if verdict.run["batch"] != 1:
        yield from _said("events", f"{events['sent']:,} sent")
    committed, spooled = events["committed"], events["spooled"]
    yield f"{events['acknowledged']:>14,}  acknowledged: {committed:,} committed, {spooled:,} spooled (202)"
    yield f"{events['recovered']:>14,}  of them recovered by a retry"
    yield f"{events['refused']:>14,}  refused"
    yield f"{events['unknown']:>14,}  unknown, of which {events['unknown_stored']:,} are there"
    yield f"{events['not_sent']:>14,}  not sent: no connection"


def _promises(verdict: Verdict) -> Iterator[str]:
    yield from _said("promises", "each of these must be 0")
    for name, meaning in MEANINGS.items():
        yield f"{verdict.events[name]:>14,}  {name.replace('_', ' ')}: {meaning}"
        for named in verdict.named.get(name, ()):
            yield from _wrapped(" " * 18, f"{named.id}: {named.ledger}")
        if verdict.events[name] > NAMED:
            yield f"{'':18}and {verdict.events[name] - NAMED:,} more"
    tail = verdict.tail
    what = f"{tail['gaps']:,} gaps, {tail['doubled']:,} doubled, {tail['disordered']:,} out of order"
    yield f"{sum(tail.values()):>14,}  in the tail: {what}, {tail['vanished']:,} vanished"


def _availability(verdict: Verdict) -> Iterator[str]:
    found = verdict.availability
    gap = found["longest_gap_seconds"]
    yield f"{found['unavailable_seconds']} s unavailable, longest gap between receipts {gap} s"
    if verdict.faults:
        after = found["first_ack_after_fault_seconds"]
        yield (
            "after a fault none came"
            if after is None
            else f"first receipt at most {after:.3f} s after a fault's end"
        )


def _latencies(verdict: Verdict) -> Iterator[str]:
    for place, values in verdict.latency_ms.items():
        if values["p50"] is not None:
            told = f"p50 {values['p50']:,} ms, p99 {values['p99']:,} ms, p99.9 {values['p999']:,} ms"
            yield f"{told} {'while a fault lasted' if place == 'inside' else 'from when it was due'}"


def _health(health: Mapping[str, float]) -> str:
    ready, unready = health["ready_but_not_keeping_seconds"], health["unready_but_keeping_seconds"]
    return f"{ready} s ready and not keeping, {unready} s unready and keeping"


def _fault(bite: Bite) -> str:
    lasted = "did not end" if bite.end is None else f"{bite.end - bite.begin:.1f} s"
    effect = bite.effect or "no effect was seen"
    return f"{bite.kind} {bite.target}, {lasted}, {bite.under_way:,} requests under way; {effect}"


def _proof(verdict: Verdict) -> Iterator[str]:
    requests, below = verdict.proof["requests"], verdict.proof["below"]
    if requests and below is not None:
        yield f"{requests:,} acknowledged requests, none broken: fewer than {below:.2g} of all are (3/N)"
    yield HONESTY


def _said(title: str, *sentences: str) -> Iterator[str]:
    for sentence in sentences:
        yield from _wrapped(f"{title:<10}  ", sentence)
        title = ""


def _wrapped(begin: str, text: str) -> list[str]:
    return textwrap.wrap(
        text, WIDTH, initial_indent=begin, subsequent_indent=" " * len(begin), break_on_hyphens=False
    )
