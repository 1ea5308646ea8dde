"""Making: what each kind of thing is when a request has made it. Raises Refused where the API would refuse."""

import hashlib
from ipaddress import ip_network

from tests.terraform.hcloud.things import Body, Refused, Things

USER_DATA = 32 * 1024  # bytes
SPREAD = 10  # servers in a placement group


def network(things: Things, asked: Body) -> Body:
    """Give a network without members."""
    return {
        "name": asked["name"],
        "ip_range": str(ip_network(asked["ip_range"])),
        "subnets": [],
        "routes": [],
        "protection": {"delete": False},
        "labels": asked.get("labels", {}),
        "expose_routes_to_vswitch": False,
    }


def firewall(things: Things, asked: Body) -> Body:
    """Give a firewall that is applied to nobody."""
    return {
        "name": asked["name"],
        "labels": asked.get("labels", {}),
        "rules": [rule(one) for one in asked.get("rules", [])],
        "applied_to": [],
    }


def rule(asked: Body) -> Body:
    """Give a rule of a firewall."""
    if asked["direction"] != "in" or not asked.get("source_ips"):
        raise Refused("invalid_input", "a rule for what comes in, here, names where from")
    if (asked["protocol"] in ("tcp", "udp")) != bool(asked.get("port")):
        raise Refused("invalid_input", "tcp and udp have ports, and nothing else has")
    return {
        "description": asked.get("description"),
        "direction": asked["direction"],
        "protocol": asked["protocol"],
        "port": asked.get("port"),
        "source_ips": [str(ip_network(one)) for one in asked["source_ips"]],
        "destination_ips": [],
    }


def ssh_key(things: Things, asked: Body) -> Body:
    """Give a key to log in with."""
    known = [one["public_key"] for one in things.kept["ssh_keys"].values()]
    if asked["public_key"] in known:
        raise Refused("uniqueness_error", "the key is here already", status=409)
    digest = hashlib.md5(asked["public_key"].split()[1].encode(), usedforsecurity=False).hexdigest()
    return {
        "name": asked["name"],
        "public_key": asked["public_key"],
        "fingerprint": ":".join(digest[start : start + 2] for start in range(0, 32, 2)),
        "labels": asked.get("labels", {}),
    }


def placement_group(things: Things, asked: Body) -> Body:
    """Give a group that spreads its servers."""
    return {"name": asked["name"], "type": asked["type"], "labels": asked.get("labels", {})}


def server(things: Things, asked: Body) -> Body:
    """Give a server that runs, in no network."""
    if len(asked.get("user_data", "").encode()) > USER_DATA:
        raise Refused("invalid_input", "user data has 32 KiB at most")
    for key in asked.get("ssh_keys", []):
        things.named("ssh_keys", key)
    group = asked.get("placement_group")
    if group and len(things.shown("placement_groups", things.get("placement_groups", group))["servers"]) >= SPREAD:
        raise Refused("placement_error", f"a group spreads {SPREAD} servers at most")
    number = len(things.kept["servers"]) + 1
    return {
        "name": asked["name"],
        "status": "running",
        "server_type": things.named("server_types", asked["server_type"]),
        "image": things.named("images", asked["image"]),
        "location": things.named("locations", asked["location"]),
        "labels": asked.get("labels", {}),
        "placement_group": group,
        "private_net": [],
        "protection": {"delete": False, "rebuild": False},
        "public_net": {
            "ipv4": {"id": 2 * number, "ip": f"192.0.2.{number}", "blocked": False, "dns_ptr": ""},
            "ipv6": {"id": 2 * number + 1, "ip": f"2001:db8:{number}::/64", "blocked": False, "dns_ptr": []},
            "floating_ips": [],
        },
        "backup_window": None,
        "rescue_enabled": False,
        "locked": False,
        "volumes": [],
        "primary_disk_size": 40,
    }


def load_balancer(things: Things, asked: Body) -> Body:
    """Give a load balancer of the world, without services, targets, or a network."""
    number = len(things.kept["load_balancers"]) + 1
    return {
        "name": asked["name"],
        "load_balancer_type": things.named("load_balancer_types", asked["load_balancer_type"]),
        "location": things.named("locations", asked["location"]),
        "algorithm": asked.get("algorithm", {"type": "round_robin"}),
        "labels": asked.get("labels", {}),
        "protection": {"delete": False},
        "public_net": {
            "enabled": True,
            "ipv4": {"id": 0, "ip": f"198.51.100.{number}", "dns_ptr": ""},
            "ipv6": {"id": 0, "ip": f"2001:db8:ffff::{number}", "dns_ptr": ""},
        },
        "private_net": [],
        "services": [],
        "targets": [],
    }
