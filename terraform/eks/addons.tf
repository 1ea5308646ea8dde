locals {
  # The daemons that make a node one; they need no node to be installed.
  before_nodes = {
    vpc-cni = {
      version = var.addon_versions.vpc_cni
      # Without the first every NetworkPolicy is an empty promise; with the second a node has room for 110 pods.
      values = jsonencode({
        enableNetworkPolicy = "true"
        env                 = { ENABLE_PREFIX_DELEGATION = "true", WARM_PREFIX_TARGET = "1" }
      })
    }
    eks-pod-identity-agent = { version = var.addon_versions.pod_identity_agent, values = null }
    kube-proxy             = { version = var.addon_versions.kube_proxy, values = null }
  }

  # These are Deployments: they become healthy on nodes only.
  after_nodes = {
    coredns            = { version = var.addon_versions.coredns, values = null }
    aws-ebs-csi-driver = { version = var.addon_versions.ebs_csi, values = null }
  }
}

resource "aws_eks_addon" "before_nodes" {
  for_each                    = local.before_nodes
  cluster_name                = aws_eks_cluster.this.name
  addon_name                  = each.key
  addon_version               = each.value.version
  configuration_values        = each.value.values
  resolve_conflicts_on_create = "OVERWRITE"
  resolve_conflicts_on_update = "OVERWRITE"

  # A pod gets the identity that there is when it starts.
  depends_on = [aws_eks_pod_identity_association.this]
}

resource "aws_eks_addon" "after_nodes" {
  for_each                    = local.after_nodes
  cluster_name                = aws_eks_cluster.this.name
  addon_name                  = each.key
  addon_version               = each.value.version
  configuration_values        = each.value.values
  resolve_conflicts_on_create = "OVERWRITE"
  resolve_conflicts_on_update = "OVERWRITE"
  depends_on                  = [aws_eks_node_group.this]
}
