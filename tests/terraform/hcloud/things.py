"""Things: what a project at Hetzner Cloud has, in the shapes of its API, and who is in which network."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network
from itertools import count
from typing import Any

Body = dict[str, Any]

CREATED = "2026-01-01T00:00:00+00:00"
# What is there without being made.
LOCATIONS = [
    {"id": number, "name": name, "network_zone": "eu-central"}
    for number, name in enumerate(("fsn1", "nbg1", "hel1"), start=1)
]
CATALOGUE = {
    "locations": LOCATIONS,
    "server_types": [
        {
            "id": number,
            "name": name,
            "architecture": "x86",
            "locations": [{"id": one["id"], "name": one["name"], "available": True} for one in LOCATIONS],
        }
        for number, name in enumerate(("cx23", "cx33", "cx43"), start=1)
    ],
    "images": [{"id": 1, "name": "ubuntu-24.04", "architecture": "x86", "type": "system", "status": "available"}],
    "load_balancer_types": [{"id": 1, "name": "lb11", "max_targets": 25}],
}
# By a collection's name in a path: how one of it is called in an answer.
WORDS = {
    "actions": "action",
    "firewalls": "firewall",
    "images": "image",
    "load_balancer_types": "load_balancer_type",
    "load_balancers": "load_balancer",
    "locations": "location",
    "networks": "network",
    "placement_groups": "placement_group",
    "server_types": "server_type",
    "servers": "server",
    "ssh_keys": "ssh_key",
}
MADE = sorted(WORDS.keys() - CATALOGUE.keys() - {"actions"})


class Refused(Exception):
    """The API says no: `code` is one of its codes of errors, `status` that of HTTP."""

    def __init__(self, code: str, message: str, *, status: int = 422) -> None:
        super().__init__(message)
        self.code = code
        self.status = status


@dataclass(frozen=True, slots=True)
class Things:
    """Everything by collection and number. What one says of another is kept once, and told from both sides."""

    kept: dict[str, dict[int, Body]] = field(default_factory=lambda: {name: {} for name in WORDS})
    _numbers: Iterator[int] = field(default_factory=lambda: count(1001))

    def __post_init__(self) -> None:
        for name, ones in CATALOGUE.items():
            self.kept[name].update({int(str(one["id"])): dict(one) for one in ones})

    def add(self, collection: str, one: Body) -> Body:
        """Keep what is made, by a number of its own. Raises Refused where its name is taken."""
        if any(other["name"] == one["name"] for other in self.kept[collection].values() if "name" in one):
            raise Refused("uniqueness_error", f"the name {one['name']} is taken", status=409)
        number = next(self._numbers)
        self.kept[collection][number] = {"id": number, "created": CREATED, **one}
        return self.kept[collection][number]

    def get(self, collection: str, number: int) -> Body:
        """Give one. Raises Refused."""
        try:
            return self.kept[collection][number]
        except KeyError:
            raise Refused("not_found", f"no {WORDS[collection]} {number}", status=404) from None

    def named(self, collection: str, name: str | int) -> Body:
        """Give one by its name or number. Raises Refused: what a request names has to be there."""
        for one in self.kept[collection].values():
            if name in (one["name"], one["id"], str(one["id"])):
                return one
        raise Refused("invalid_input", f"no {WORDS[collection]} {name}")

    def attached(self, network: int) -> Iterator[tuple[str, int, Body]]:
        """Give who is in a network: the collection, the number, and how it is attached."""
        for collection in ("servers", "load_balancers"):
            for number, one in self.kept[collection].items():
                yield from ((collection, number, net) for net in one["private_net"] if net["network"] == network)

    def attach(self, collection: str, one: Body, asked: Body) -> None:
        """Put a server or a load balancer into a network. Raises Refused."""
        network = self.get("networks", asked["network"])
        if one["private_net"]:
            raise Refused(f"{WORDS[collection]}_already_attached", f"{one['name']} is attached already")
        ranges = [subnet["ip_range"] for subnet in network["subnets"]]
        chosen = [name for name in ranges if asked.get("ip_range") in (None, name)]
        # The first address of a network is its gateway's.
        gateway = next(ip_network(network["ip_range"]).hosts())
        taken = {net["ip"] for _, _, net in self.attached(network["id"])} | {str(gateway)}
        free = (str(host) for name in chosen for host in ip_network(name).hosts() if str(host) not in taken)
        wanted = asked.get("ip") or next(free, None)
        if wanted is None or not any(ip_address(wanted) in ip_network(name) for name in chosen):
            raise Refused("no_subnet_available", f"no subnet of {network['name']} has {wanted or 'an address'}")
        if wanted in taken:
            raise Refused("ip_not_available", f"{wanted} is taken")
        net = {"network": network["id"], "ip": wanted}
        if collection == "servers":
            mac = one["id"].to_bytes(6).hex(":")
            net |= {"alias_ips": asked.get("alias_ips", []), "mac_address": mac}
        one["private_net"] = [net]

    def shown(self, collection: str, one: Body) -> Body:
        """Give one as the API shows it, with what others say of it."""
        show = getattr(self, f"_{WORDS[collection]}", None)
        return {**one, **(show(one) if show else {})}

    def _network(self, one: Body) -> Body:
        members = [(collection, number) for collection, number, _ in self.attached(one["id"])]
        return {
            kind: [number for collection, number in members if collection == kind]
            for kind in ("servers", "load_balancers")
        }

    def _placement_group(self, one: Body) -> Body:
        servers = self.kept["servers"].values()
        return {"servers": [server["id"] for server in servers if server["placement_group"] == one["id"]]}

    def _server(self, one: Body) -> Body:
        applied = [wall["id"] for wall in self.kept["firewalls"].values() if one["id"] in servers_of(wall)]
        balancers = self.kept["load_balancers"].values()
        group = one["placement_group"]
        return {
            "public_net": {
                **one["public_net"],
                "firewalls": [{"id": number, "status": "applied"} for number in applied],
            },
            "placement_group": group and self.shown("placement_groups", self.get("placement_groups", group)),
            "load_balancers": [balancer["id"] for balancer in balancers if one["id"] in targets_of(balancer)],
        }


def servers_of(firewall: Body) -> list[int]:
    """Give the servers that a firewall is applied to."""
    return [one["server"]["id"] for one in firewall["applied_to"]]


def targets_of(balancer: Body) -> list[int]:
    """Give the servers that a load balancer sends to."""
    return [one["server"]["id"] for one in balancer["targets"]]
