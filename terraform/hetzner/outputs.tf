output "servers" {
  description = "Every server by name: its role, private and public addresses"
  value = {
    for name, server in module.k3s.servers : name => {
      role    = server.role
      private = server.address
      ipv4    = hcloud_server.node[name].ipv4_address
      ipv6    = hcloud_server.node[name].ipv6_address
    }
  }
}

output "public_addresses" {
  description = "What DNS has to point to: the load balancer, or the servers themselves"
  value = var.load_balancer == null ? {
    ipv4 = [for name in keys(local.serving) : hcloud_server.node[name].ipv4_address]
    ipv6 = [for name in keys(local.serving) : hcloud_server.node[name].ipv6_address]
    } : {
    ipv4 = [hcloud_load_balancer.public[var.cluster_name].ipv4]
    ipv6 = [hcloud_load_balancer.public[var.cluster_name].ipv6]
  }
}

output "kubeconfig" {
  description = "How to get a kubeconfig of the cluster"
  value       = <<-EOT
    ssh root@${local.api} cat /etc/rancher/k3s/k3s.yaml | sed s/127.0.0.1/${local.api}/ >kubeconfig && chmod 600 kubeconfig
  EOT
}

locals {
  api = hcloud_server.node["${var.cluster_name}-cp-${var.founder}"].ipv4_address
}
