locals {
  policies = {
    admin  = "arn:${data.aws_partition.current.partition}:eks::aws:cluster-access-policy/AmazonEKSClusterAdminPolicy"
    viewer = "arn:${data.aws_partition.current.partition}:eks::aws:cluster-access-policy/AmazonEKSViewPolicy"
  }
  people = merge(
    { for name, arn in var.admins : "admin/${name}" => { arn = arn, policy = local.policies.admin } },
    { for name, arn in var.viewers : "viewer/${name}" => { arn = arn, policy = local.policies.viewer } },
  )
}

resource "aws_eks_access_entry" "this" {
  for_each      = local.people
  cluster_name  = aws_eks_cluster.this.name
  principal_arn = each.value.arn
}

resource "aws_eks_access_policy_association" "this" {
  for_each      = local.people
  cluster_name  = aws_eks_cluster.this.name
  principal_arn = aws_eks_access_entry.this[each.key].principal_arn
  policy_arn    = each.value.policy

  access_scope {
    type = "cluster"
  }
}
