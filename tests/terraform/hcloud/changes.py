"""Changes: the actions of each kind of thing, by the last word of their path. Each may raise Refused."""

from collections.abc import Callable
from ipaddress import ip_address, ip_network

from tests.terraform.hcloud.making import rule
from tests.terraform.hcloud.things import Body, Refused, Things, servers_of, targets_of

Change = Callable[[Things, Body, Body], None]


def _protect(things: Things, one: Body, asked: Body) -> None:
    one["protection"] |= asked
    if len(set(one["protection"].values())) > 1:
        raise Refused("invalid_input", "a server is protected from both, or from neither")


def _add_subnet(things: Things, one: Body, asked: Body) -> None:
    wanted = ip_network(asked["ip_range"])
    if not wanted.subnet_of(ip_network(one["ip_range"])):  # type: ignore[arg-type]  # both are of IPv4
        raise Refused("invalid_input", f"{wanted} is not in {one['ip_range']}")
    if any(wanted.overlaps(ip_network(other["ip_range"])) for other in one["subnets"]):
        raise Refused("uniqueness_error", f"{wanted} overlaps another subnet", status=409)
    gateway = str(next(ip_network(one["ip_range"]).hosts()))
    one["subnets"].append({**asked, "ip_range": str(wanted), "gateway": gateway})


def _delete_subnet(things: Things, one: Body, asked: Body) -> None:
    subnet = ip_network(asked["ip_range"])
    if any(ip_address(net["ip"]) in subnet for _, _, net in things.attached(one["id"])):
        raise Refused("resource_in_use", f"{subnet} has members")
    one["subnets"] = [other for other in one["subnets"] if other["ip_range"] != str(subnet)]


def _detach(things: Things, one: Body, asked: Body) -> None:
    one["private_net"] = [net for net in one["private_net"] if net["network"] != asked["network"]]


def _rules(things: Things, one: Body, asked: Body) -> None:
    one["rules"] = [rule(each) for each in asked["rules"]]


def _apply(things: Things, one: Body, asked: Body) -> None:
    for target in asked["apply_to"]:
        server = things.get("servers", target["server"]["id"])
        if server["id"] in servers_of(one):
            raise Refused("firewall_already_applied", f"{one['name']} is applied to {server['name']}")
        one["applied_to"].append({"type": "server", "server": {"id": server["id"]}})


def _remove(things: Things, one: Body, asked: Body) -> None:
    gone = [target["server"]["id"] for target in asked["remove_from"]]
    if missing := set(gone) - set(servers_of(one)):
        raise Refused("firewall_already_removed", f"{one['name']} is not applied to {missing}")
    one["applied_to"] = [target for target in one["applied_to"] if target["server"]["id"] not in gone]


def _add_service(things: Things, one: Body, asked: Body) -> None:
    if any(service["listen_port"] == asked["listen_port"] for service in one["services"]):
        raise Refused("source_port_already_used", f"{asked['listen_port']} is listened on")
    one["services"].append({"proxyprotocol": False, **asked})


def _update_service(things: Things, one: Body, asked: Body) -> None:
    service = next((each for each in one["services"] if each["listen_port"] == asked["listen_port"]), None)
    if service is None:
        raise Refused("not_found", f"no service on {asked['listen_port']}", status=404)
    service |= {**asked, "health_check": service.get("health_check", {}) | asked.get("health_check", {})}


def _delete_service(things: Things, one: Body, asked: Body) -> None:
    one["services"] = [each for each in one["services"] if each["listen_port"] != asked["listen_port"]]


def _add_target(things: Things, one: Body, asked: Body) -> None:
    server = things.get("servers", asked["server"]["id"])
    if server["id"] in targets_of(one):
        raise Refused("target_already_defined", f"{server['name']} is a target")
    private = asked.get("use_private_ip", False)
    if private and not one["private_net"]:
        raise Refused("load_balancer_not_attached_to_network", f"{one['name']} is in no network")
    networks = [[net["network"] for net in each["private_net"]] for each in (one, server)]
    if private and networks[0] != networks[1]:
        raise Refused("server_not_attached_to_network", f"{server['name']} is not in the network of {one['name']}")
    one["targets"].append({"type": "server", "server": {"id": server["id"]}, "use_private_ip": private})


def _remove_target(things: Things, one: Body, asked: Body) -> None:
    if asked["server"]["id"] not in targets_of(one):
        raise Refused("load_balancer_target_not_found", "no such target", status=404)
    one["targets"] = [each for each in one["targets"] if each["server"]["id"] != asked["server"]["id"]]


def _attach(collection: str) -> Change:
    return lambda things, one, asked: things.attach(collection, one, asked)


def _turn(status: str) -> Change:
    def turn(things: Things, one: Body, asked: Body) -> None:
        one["status"] = status

    return turn


def _public(*, enabled: bool) -> Change:
    def public(things: Things, one: Body, asked: Body) -> None:
        one["public_net"]["enabled"] = enabled

    return public


CHANGES: dict[tuple[str, str], Change] = {
    ("networks", "add_subnet"): _add_subnet,
    ("networks", "delete_subnet"): _delete_subnet,
    ("networks", "change_protection"): _protect,
    ("firewalls", "set_rules"): _rules,
    ("firewalls", "apply_to_resources"): _apply,
    ("firewalls", "remove_from_resources"): _remove,
    ("servers", "attach_to_network"): _attach("servers"),
    ("servers", "detach_from_network"): _detach,
    ("servers", "change_protection"): _protect,
    ("servers", "poweron"): _turn("running"),
    ("servers", "poweroff"): _turn("off"),
    ("servers", "shutdown"): _turn("off"),
    ("load_balancers", "attach_to_network"): _attach("load_balancers"),
    ("load_balancers", "detach_from_network"): _detach,
    ("load_balancers", "change_protection"): _protect,
    ("load_balancers", "enable_public_interface"): _public(enabled=True),
    ("load_balancers", "disable_public_interface"): _public(enabled=False),
    ("load_balancers", "add_service"): _add_service,
    ("load_balancers", "update_service"): _update_service,
    ("load_balancers", "delete_service"): _delete_service,
    ("load_balancers", "add_target"): _add_target,
    ("load_balancers", "remove_target"): _remove_target,
}
