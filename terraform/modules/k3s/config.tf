# What k3s is told on each server: /etc/rancher/k3s/config.yaml. What only the server itself knows, it adds at its start.
locals {
  of_node = {
    for name, node in local.nodes : name => {
      "node-name"               = name # the cloud controller finds the server by it
      "node-ip"                 = node.address
      "token-file"              = "/etc/rancher/k3s/token"
      "protect-kernel-defaults" = true
      "kubelet-arg"             = ["cloud-provider=external"]
      "node-label" = concat(
        ["pool=${node.pool}"],
        [for key, value in node.labels : "${key}=${value}"],
      )
      "node-taint" = node.taints
    }
  }
  of_server = {
    "cluster-cidr"             = var.pod_cidr
    "service-cidr"             = var.service_cidr
    "flannel-backend"          = "wireguard-native"
    "disable"                  = ["traefik", "local-storage"] # the platform brings Traefik, CSI the volumes
    "disable-cloud-controller" = true
    "secrets-encryption"       = true
    "write-kubeconfig-mode"    = "0600"
    "tls-san"                  = concat([for node in values(local.control_planes) : node.address], var.api_names)
    "kube-apiserver-arg" = [
      "audit-log-path=/var/lib/rancher/k3s/server/logs/audit.log",
      "audit-policy-file=/etc/rancher/k3s/audit.yaml",
      "audit-log-maxage=30",
      "audit-log-maxbackup=10",
      "audit-log-maxsize=100",
    ]
    "etcd-snapshot-schedule-cron" = var.snapshots.schedule
    "etcd-snapshot-retention"     = var.snapshots.retention
    "etcd-s3"                     = true
    "etcd-s3-endpoint"            = var.snapshots.endpoint
    "etcd-s3-region"              = var.snapshots.region
    "etcd-s3-bucket"              = var.snapshots.bucket
    "etcd-s3-folder"              = coalesce(var.snapshots.folder, var.cluster_name)
    "etcd-s3-access-key"          = var.snapshots.access_key
    "etcd-s3-secret-key"          = var.snapshots.secret_key
  }
  of_founder = { "cluster-init" = true }
  of_joining = { "server" = "https://${local.door}:6443" }
  config = {
    for name, node in local.nodes : name => merge(
      local.of_node[name],
      { for key, value in local.of_server : key => value if node.role == "server" },
      { for key, value in local.of_founder : key => value if node.founds },
      { for key, value in local.of_joining : key => value if !node.founds },
    )
  }
  audit_policy = {
    apiVersion = "audit.k8s.io/v1"
    kind       = "Policy"
    omitStages = ["RequestReceived"]
    rules = [
      { level = "None", users = ["system:kube-proxy", "system:apiserver"] },
      { level = "None", nonResourceURLs = ["/healthz*", "/livez*", "/readyz*", "/version"] },
      { level = "None", resources = [{ group = "coordination.k8s.io", resources = ["leases"] }] },
      # What they say, not what is in them.
      { level = "Metadata", resources = [{ group = "", resources = ["secrets", "configmaps", "serviceaccounts/token"] }] },
      { level = "None", verbs = ["get", "list", "watch"] },
      { level = "Metadata" },
    ]
  }
}
