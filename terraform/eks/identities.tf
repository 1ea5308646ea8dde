locals {
  drivers = {
    vpc-cni = { namespace = "kube-system", service_account = "aws-node" }
    ebs-csi = { namespace = "kube-system", service_account = "ebs-csi-controller-sa" }
  }
  backups    = { for folder, account in var.databases : "backup-${folder}" => account }
  identities = merge(local.drivers, local.backups, { secrets = var.secrets })
}

data "aws_iam_policy_document" "pod_assume" {
  for_each = local.identities

  statement {
    actions = ["sts:AssumeRole", "sts:TagSession"]
    principals {
      type        = "Service"
      identifiers = ["pods.eks.amazonaws.com"]
    }
    # The tags that EKS puts on the session: a role is of one service account of this cluster, whatever is associated.
    dynamic "condition" {
      for_each = {
        "eks-cluster-name"           = var.name
        "kubernetes-namespace"       = each.value.namespace
        "kubernetes-service-account" = each.value.service_account
      }
      content {
        test     = "StringEquals"
        variable = "aws:RequestTag/${condition.key}"
        values   = [condition.value]
      }
    }
  }
}

resource "aws_iam_role" "pod" {
  for_each           = local.identities
  name               = "${var.name}-${each.key}"
  assume_role_policy = data.aws_iam_policy_document.pod_assume[each.key].json
}

resource "aws_iam_role_policy_attachment" "driver" {
  for_each = {
    vpc-cni = "AmazonEKS_CNI_Policy"
    ebs-csi = "service-role/AmazonEBSCSIDriverPolicy"
  }
  role       = aws_iam_role.pod[each.key].name
  policy_arn = "${local.managed}/${each.value}"
}

data "aws_iam_policy_document" "secrets" {
  statement {
    actions   = ["secretsmanager:GetSecretValue", "secretsmanager:DescribeSecret"]
    resources = ["arn:${data.aws_partition.current.partition}:secretsmanager:${var.region}:${data.aws_caller_identity.current.account_id}:secret:${var.secrets.prefix}*"]
  }
}

resource "aws_iam_role_policy" "secrets" {
  name   = "read"
  role   = aws_iam_role.pod["secrets"].id
  policy = data.aws_iam_policy_document.secrets.json
}

resource "aws_eks_pod_identity_association" "this" {
  for_each        = local.identities
  cluster_name    = aws_eks_cluster.this.name
  namespace       = each.value.namespace
  service_account = each.value.service_account
  role_arn        = aws_iam_role.pod[each.key].arn

  depends_on = [aws_iam_role_policy_attachment.driver]
}
