# HTTP and HTTPS for the world, through the private network; never the Kubernetes API, as a balancer has no firewall.
locals {
  balancer = var.load_balancer == null ? {} : { (var.cluster_name) = var.load_balancer }
  ports    = var.load_balancer == null ? {} : { http = 80, https = 443 }
}

resource "hcloud_load_balancer" "public" {
  for_each = local.balancer

  name               = each.key
  load_balancer_type = each.value.type
  location           = var.location
  labels             = local.labels
  delete_protection  = var.protected

  algorithm {
    type = "least_connections"
  }
}

resource "hcloud_load_balancer_network" "public" {
  for_each = local.balancer

  load_balancer_id = tonumber(hcloud_load_balancer.public[each.key].id)
  subnet_id        = hcloud_network_subnet.nodes.id
  ip               = cidrhost(local.network.subnet, 2)
}

resource "hcloud_load_balancer_service" "public" {
  for_each = local.ports

  load_balancer_id = tonumber(hcloud_load_balancer.public[var.cluster_name].id)
  protocol         = "tcp" # TLS ends in the cluster, where the certificates are
  listen_port      = each.value
  destination_port = each.value
  proxyprotocol    = var.load_balancer.proxy_protocol

  health_check {
    protocol = "tcp"
    port     = each.value
    interval = 5
    timeout  = 3
    retries  = 2
  }
}

resource "hcloud_load_balancer_target" "node" {
  for_each = { for name, server in local.serving : name => server if var.load_balancer != null }

  type             = "server"
  load_balancer_id = tonumber(hcloud_load_balancer.public[var.cluster_name].id)
  server_id        = tonumber(hcloud_server.node[each.key].id)
  use_private_ip   = true

  depends_on = [hcloud_load_balancer_network.public]
}
