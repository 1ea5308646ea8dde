"""Tenants: two tokens and what each may see, said without the collector's own words for it."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.credentials import Credential, credential

Json = dict[str, Any]
PATTERNS: Mapping[str, tuple[str, ...]] = {
    # Prefixes of each other, and marks that SQL, GLOB and regular expressions would take for something else.
    "left": ("team/*", "un_der/*", "[ab]*", "*.shared", "a*b*a", "exact", "Case/*"),
    "right": ("team-b/*", "unXder/*", "a[b", "*-z.shared", "ab*", "exact2", "case/*", "per%/*", "back\\slash*", "?"),
}
# `*` of a pattern, in turn, and names that are nearly of one.
NAMES = (
    *("team/{}", "team-b/{}", "team{}", "Team/{}", "un_der/{}", "unXder/{}", "[ab]{}", "a{}", "a[b", "{}.shared"),
    *("{}-z.shared", "a{}b-a", "ab{}a", "exact", "exact2", "exact{}", "Case/{}", "case/{}", "per%/{}", "perX/{}"),
    *("back\\slash{}", "backslash{}", "?", "x", "team/team-b/{}", "{}", "*", "*{}", "team/", "team-b/*"),
)
TOKENS: Mapping[str, Credential] = {name: credential(*sources, name=name) for name, sources in PATTERNS.items()}


def may(tenant: str, source: str) -> bool:
    """Whether it may write and see events of a source."""
    return any(_stands_for(pattern, source) for pattern in PATTERNS[tenant])


def _stands_for(pattern: str, text: str) -> bool:
    return re.fullmatch(".*".join(map(re.escape, pattern.split("*"))), text, re.DOTALL) is not None


@dataclass
class Log:
    """What is kept, in order."""

    events: dict[tuple[str, str], Json] = field(default_factory=dict)  # by source and id

    def becomes(self, event: Json) -> str:
        """What comes of an event that its sender may write: new, duplicate or conflict."""
        known = self.events.get((event["source"], event["id"]))
        if known is None:
            return "new"
        return "duplicate" if all(known[name] == value for name, value in event.items()) else "conflict"

    def keep(self, event: Json) -> None:
        self.events[event["source"], event["id"]] = event

    def seen(self, tenant: str, wanted: Mapping[str, str]) -> Iterator[Json]:
        """What it may see of what matches a query, in order."""
        for event in self.events.values():
            if may(tenant, event["source"]) and all(_matches(event, *one) for one in wanted.items()):
                yield event


def _matches(event: Json, name: str, value: str) -> bool:
    match name:
        case "source":
            return _stands_for(value, event["source"])
        case "q":
            texts = (event["source"], event["action"], event["id"], event["subject"], f'{{"n":{event["data"]["n"]}}}')
            return any(value.lower() in text.lower() for text in texts)
        case "data.n":
            return bool(str(event["data"]["n"]) == value)
    return bool(event[name] == value)


def counts(events: Sequence[Json]) -> dict[str, int]:
    """How many there are of each source."""
    sources = [event["source"] for event in events]
    return {source: sources.count(source) for source in sources}
