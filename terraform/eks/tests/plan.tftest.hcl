# What is planned, on no account at all: the provider is a mock, its documents of policies are not computed.
mock_provider "aws" {
  source = "./tests/mocks"
}

variables {
  admin_cidrs = ["203.0.113.0/24"]
  admins      = { ops = "arn:aws:iam::123456789012:role/ops" }
}

run "by_default" {
  command = plan

  assert {
    condition = (
      aws_eks_cluster.this.vpc_config[0].endpoint_private_access
      && aws_eks_cluster.this.vpc_config[0].endpoint_public_access
      && aws_eks_cluster.this.vpc_config[0].public_access_cidrs == toset(["203.0.113.0/24"])
    )
    error_message = "The API server answers the administrators' networks, and no others."
  }

  assert {
    condition = (
      aws_eks_cluster.this.access_config[0].authentication_mode == "API"
      && !aws_eks_cluster.this.access_config[0].bootstrap_cluster_creator_admin_permissions
      && aws_eks_access_policy_association.this["admin/ops"].policy_arn == "arn:aws:eks::aws:cluster-access-policy/AmazonEKSClusterAdminPolicy"
      && length(aws_eks_access_entry.this) == 1
    )
    error_message = "Who comes in is written in access entries, and nowhere else."
  }

  assert {
    condition     = aws_eks_cluster.this.encryption_config[0].resources == toset(["secrets"])
    error_message = "Secrets are in an envelope of KMS."
  }

  assert {
    condition     = aws_eks_cluster.this.enabled_cluster_log_types == toset(["api", "audit", "authenticator", "controllerManager", "scheduler"])
    error_message = "All of the control plane's logs."
  }

  assert {
    condition     = alltrue([for key in aws_kms_key.this : key.enable_key_rotation])
    error_message = "Keys rotate."
  }

  assert {
    condition = (
      aws_launch_template.node.metadata_options[0].http_tokens == "required"
      && aws_launch_template.node.metadata_options[0].http_put_response_hop_limit == 1
    )
    error_message = "A pod must not get the node's role."
  }

  assert {
    condition = (
      aws_launch_template.node.block_device_mappings[0].ebs[0].encrypted == "true"
      && aws_launch_template.node.block_device_mappings[0].ebs[0].volume_type == "gp3"
    )
    error_message = "Root disks are encrypted, and gp3."
  }

  assert {
    condition     = length(aws_subnet.private) == 3 && alltrue([for subnet in concat(values(aws_subnet.private), values(aws_subnet.public)) : subnet.map_public_ip_on_launch != true])
    error_message = "Three zones, and nothing that is put there gets a public address."
  }

  assert {
    condition     = aws_eks_node_group.this.version == "1.35" && aws_eks_node_group.this.release_version == "1.35.0-20260129" && aws_eks_node_group.this.ami_type == "AL2023_x86_64_STANDARD"
    error_message = "The image of the nodes is pinned."
  }

  assert {
    condition     = toset(keys(aws_iam_role_policy_attachment.node)) == toset(["AmazonEKSWorkerNodeMinimalPolicy", "AmazonEC2ContainerRegistryPullOnly"])
    error_message = "A node may join and pull images; what pods may, their identities say."
  }

  assert {
    condition     = alltrue([for addon in merge(aws_eks_addon.before_nodes, aws_eks_addon.after_nodes) : startswith(addon.addon_version, "v")])
    error_message = "An add-on without a version takes the default of the day."
  }

  assert {
    condition     = jsondecode(aws_eks_addon.before_nodes["vpc-cni"].configuration_values).enableNetworkPolicy == "true"
    error_message = "Without it a NetworkPolicy is an empty promise."
  }

  assert {
    condition     = toset(keys(aws_eks_pod_identity_association.this)) == toset(["vpc-cni", "ebs-csi", "backup-production", "secrets"])
    error_message = "The drivers, the database and the reader of secrets have identities."
  }

  assert {
    condition     = aws_eks_pod_identity_association.this["backup-production"].service_account == "collector-postgres"
    error_message = "The chart's Cluster is called collector-postgres, and so is its service account."
  }

  assert {
    condition     = length(aws_nat_gateway.this) == 1 && length(aws_route.private) == 3 && length(aws_vpc_endpoint.interface) == 0 && length(aws_security_group.endpoints) == 0
    error_message = "One NAT gateway for three zones, and no endpoint that costs."
  }
  assert {
    condition = (
      aws_s3_bucket_versioning.backups.versioning_configuration[0].status == "Enabled"
      && aws_s3_bucket_public_access_block.backups.block_public_policy
      && aws_s3_bucket_public_access_block.backups.restrict_public_buckets
      && one(aws_s3_bucket_server_side_encryption_configuration.backups.rule).apply_server_side_encryption_by_default[0].sse_algorithm == "aws:kms"
      && aws_s3_bucket.backups.bucket == "collector-backups-123456789012-eu-central-1"
    )
    error_message = "Versions, encryption, nobody from outside."
  }

  assert {
    condition     = one(aws_s3_bucket_lifecycle_configuration.backups.rule[0].noncurrent_version_expiration).noncurrent_days == 30
    error_message = "What was deleted can be had back for a month."
  }
}

run "a_way_out_for_each_zone" {
  command = plan
  variables {
    nat_per_zone        = true
    interface_endpoints = ["ecr.api", "sts"]
  }

  assert {
    condition     = length(aws_nat_gateway.this) == 3 && length(aws_vpc_endpoint.interface) == 2 && aws_vpc_security_group_ingress_rule.endpoints[0].cidr_ipv4 == "10.20.0.0/16"
    error_message = "A NAT gateway in each zone, and the endpoints asked for."
  }
}

run "no_public_address_at_all" {
  command = plan
  variables {
    admin_cidrs = []
  }

  assert {
    condition     = !aws_eks_cluster.this.vpc_config[0].endpoint_public_access && aws_eks_cluster.this.vpc_config[0].endpoint_private_access
    error_message = "Nobody is named: it answers the network only."
  }
}

# While an upgrade is under way the nodes are one behind.
run "nodes_follow_the_control_plane" {
  command = plan
  variables {
    kubernetes_version = "1.36"
  }

  assert {
    condition     = aws_eks_cluster.this.version == "1.36" && aws_eks_node_group.this.version == "1.35"
    error_message = "The control plane goes first."
  }
}
