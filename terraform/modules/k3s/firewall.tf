# What comes in from outside; between servers everything goes through the private network, which no such rule touches.
locals {
  world = ["0.0.0.0/0", "::/0"]
  firewall = concat(
    [
      { description = "Path MTU and ping", protocol = "icmp", port = null, source_ips = local.world },
      { description = "SSH", protocol = "tcp", port = "22", source_ips = var.admin_cidrs },
      { description = "Kubernetes API", protocol = "tcp", port = "6443", source_ips = var.admin_cidrs },
    ],
    [for port in var.public_ports : { description = "Public", protocol = "tcp", port = tostring(port), source_ips = local.world }],
  )
}
