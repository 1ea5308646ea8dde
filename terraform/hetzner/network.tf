resource "hcloud_network" "cluster" {
  name              = var.cluster_name
  ip_range          = local.network.cidr
  labels            = local.labels
  delete_protection = var.protected
}

resource "hcloud_network_subnet" "nodes" {
  network_id   = tonumber(hcloud_network.cluster.id)
  type         = "cloud"
  network_zone = "eu-central"
  ip_range     = local.network.subnet
}

resource "hcloud_firewall" "nodes" {
  name   = var.cluster_name
  labels = local.labels

  dynamic "rule" {
    for_each = module.k3s.firewall

    content {
      description = rule.value.description
      direction   = "in"
      protocol    = rule.value.protocol
      port        = rule.value.port
      source_ips  = rule.value.source_ips
    }
  }
}
