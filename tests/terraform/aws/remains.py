"""What there is at Moto's server, as JSON: by kind, what it is called. Run by the Python that has Moto."""

import json
import sys
from importlib import import_module
from typing import Any

CLUSTER = "collector"
# Service, what to ask it for, where the answer has them, by which field they are called.
KINDS = (
    ("ec2", "describe_vpcs", "Vpcs", "VpcId"),
    ("ec2", "describe_subnets", "Subnets", "SubnetId"),
    ("ec2", "describe_route_tables", "RouteTables", "RouteTableId"),
    ("ec2", "describe_security_groups", "SecurityGroups", "GroupId"),
    ("ec2", "describe_internet_gateways", "InternetGateways", "InternetGatewayId"),
    ("ec2", "describe_nat_gateways", "NatGateways", "NatGatewayId"),
    ("ec2", "describe_addresses", "Addresses", "AllocationId"),
    ("ec2", "describe_vpc_endpoints", "VpcEndpoints", "VpcEndpointId"),
    ("ec2", "describe_flow_logs", "FlowLogs", "FlowLogId"),
    ("ec2", "describe_launch_templates", "LaunchTemplates", "LaunchTemplateId"),
    ("iam", "list_roles", "Roles", "RoleName"),
    ("kms", "list_aliases", "Aliases", "AliasName"),
    ("logs", "describe_log_groups", "logGroups", "logGroupName"),
    ("s3", "list_buckets", "Buckets", "Name"),
    ("eks", "list_clusters", "clusters", ""),
    ("eks", "list_addons", "addons", ""),
    ("eks", "list_access_entries", "accessEntries", ""),
    ("eks", "list_pod_identity_associations", "associations", "associationId"),
)
OF_A_CLUSTER = ("list_addons", "list_access_entries", "list_pod_identity_associations")


def main(endpoint: str) -> dict[str, list[str]]:
    """Ask for every kind."""
    boto3 = import_module("boto3")
    session = boto3.Session(aws_access_key_id="test", aws_secret_access_key="test", region_name="eu-central-1")
    found = {}
    for service, ask, where, called in KINDS:
        client = session.client(service, endpoint_url=endpoint)
        answer: dict[str, Any] = getattr(client, ask)(**({"clusterName": CLUSTER} if ask in OF_A_CLUSTER else {}))
        alive = [one for one in answer[where] if not called or one.get("State") != "deleted"]
        found[f"{service} {where}"] = sorted(one[called] if called else one for one in alive)
    return found


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1])))
