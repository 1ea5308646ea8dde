# Who there is: names and addresses that stay as they are when servers are added.
locals {
  control_planes = {
    for number in range(1, var.control_planes.count + 1) : "${var.cluster_name}-cp-${number}" => {
      role        = "server"
      pool        = "cp"
      server_type = var.control_planes.server_type
      address     = cidrhost(var.network.subnet, 9 + number)
      founds      = number == var.founder
      labels      = {}
      taints      = local.has_workers ? ["node-role.kubernetes.io/control-plane=true:NoSchedule"] : []
    }
  }
  workers = merge([
    for name, pool in var.workers : {
      for number in range(1, pool.count + 1) : "${var.cluster_name}-${name}-${number}" => {
        role        = "agent"
        pool        = name
        server_type = pool.server_type
        address     = cidrhost(var.network.subnet, 10 * pool.block + number + 9)
        founds      = false
        labels      = pool.labels
        taints      = pool.taints
      }
    }
  ]...)
  nodes       = merge(local.control_planes, local.workers)
  has_workers = sum(concat([0], [for pool in values(var.workers) : pool.count])) > 0
  door        = one([for node in values(local.control_planes) : node.address if node.founds])
}
