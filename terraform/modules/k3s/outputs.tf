output "servers" {
  description = "Every server by name: role (server, agent), pool, type, private address, whether it founds the cluster, and labels"
  value = {
    for name, node in local.nodes : name => {
      role        = node.role
      pool        = node.pool
      server_type = node.server_type
      address     = node.address
      founds      = node.founds
      labels      = { cluster = var.cluster_name, role = node.role, pool = node.pool }
    }
  }
}

output "user_data" {
  description = "cloud-init of every server, by name"
  value       = local.user_data
  sensitive   = true

  precondition {
    condition     = alltrue([for text in values(local.user_data) : length(base64encode(text)) * 3 / 4 <= 32768])
    error_message = "A server's user_data is above 32 KiB, which is all that Hetzner takes."
  }
}

output "config" {
  description = "What k3s is told on every server, by name, as it stands in its config.yaml"
  value       = local.config
  sensitive   = true
}

output "manifests" {
  description = "What the control planes apply by themselves, by file, in this order"
  value       = local.manifests
  sensitive   = true
}

output "firewall" {
  description = "Rules for what comes in from outside: description, protocol, port, source_ips"
  value       = local.firewall
}
