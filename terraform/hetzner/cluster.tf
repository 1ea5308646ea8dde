# What a cluster is, is decided in modules/k3s; here it becomes servers.
module "k3s" {
  source = "../modules/k3s"

  cluster_name   = var.cluster_name
  k3s_version    = var.k3s_version
  control_planes = var.control_planes
  founder        = var.founder
  workers        = var.workers
  network        = local.network
  admin_cidrs    = var.admin_cidrs
  api_names      = var.api_names
  public_ports   = var.load_balancer == null ? [80, 443] : []
  token          = var.k3s_token
  snapshots      = var.snapshots
  cloud          = { token = var.cluster_token, network = var.cluster_name }
}

locals {
  network = { cidr = "10.0.0.0/16", subnet = "10.0.1.0/24" }
  labels  = { cluster = var.cluster_name }
  # With workers, only they take what is deployed.
  serving = { for name, server in module.k3s.servers : name => server
  if server.role == "agent" || alltrue([for other in values(module.k3s.servers) : other.role == "server"]) }
}

resource "hcloud_server" "node" {
  for_each = module.k3s.servers

  name                     = each.key
  server_type              = each.value.server_type
  image                    = var.image
  location                 = var.location
  labels                   = each.value.labels
  user_data                = module.k3s.user_data[each.key]
  ssh_keys                 = [for key in hcloud_ssh_key.admin : key.id]
  firewall_ids             = [tonumber(hcloud_firewall.nodes.id)]
  placement_group_id       = tonumber(hcloud_placement_group.spread[each.value.pool].id)
  delete_protection        = var.protected
  rebuild_protection       = var.protected
  shutdown_before_deletion = true

  network {
    subnet_id = hcloud_network_subnet.nodes.id
    ip        = each.value.address
    alias_ips = []
  }

  public_net {
    ipv4_enabled = true
    ipv6_enabled = true
  }

  lifecycle {
    # These are read at the first start only. A change of them must not replace every server at once: it reaches each
    # when it is replaced, one after the other (README.md).
    ignore_changes = [image, ssh_keys, user_data]
  }
}

resource "hcloud_placement_group" "spread" {
  for_each = toset([for server in values(module.k3s.servers) : server.pool])

  name   = "${var.cluster_name}-${each.key}"
  type   = "spread"
  labels = local.labels
}

resource "hcloud_ssh_key" "admin" {
  for_each = var.ssh_keys

  name       = "${var.cluster_name}-${each.key}"
  public_key = each.value
  labels     = local.labels
}
