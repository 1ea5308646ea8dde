locals {
  account = "arn:${data.aws_partition.current.partition}:iam::${data.aws_caller_identity.current.account_id}:root"
  logs    = "arn:${data.aws_partition.current.partition}:logs:${var.region}:${data.aws_caller_identity.current.account_id}:log-group"
}

# The account's own policies say who uses a key; without this statement nobody could ever change one again.
data "aws_iam_policy_document" "key" {
  # checkov:skip=CKV_AWS_109: a key's own policy, in which * is that key; the account's policies say who may do what
  # checkov:skip=CKV_AWS_111: likewise
  # checkov:skip=CKV_AWS_356: likewise
  for_each = toset(["cluster", "backups"])

  statement {
    sid       = "Account"
    actions   = ["kms:*"]
    resources = ["*"]
    principals {
      type        = "AWS"
      identifiers = [local.account]
    }
  }

  dynamic "statement" {
    for_each = each.key == "cluster" ? ["logs"] : []
    content {
      sid       = "Logs"
      actions   = ["kms:Encrypt", "kms:Decrypt", "kms:ReEncrypt*", "kms:GenerateDataKey*", "kms:Describe*"]
      resources = ["*"]
      principals {
        type        = "Service"
        identifiers = ["logs.${var.region}.amazonaws.com"]
      }
      condition {
        test     = "ArnLike"
        variable = "kms:EncryptionContext:aws:logs:arn"
        values   = ["${local.logs}:/aws/eks/${var.name}/*", "${local.logs}:/aws/vpc/${var.name}"]
      }
    }
  }
}

# One for what is in the cluster (Kubernetes' secrets, logs), one for the backups, which outlive it.
resource "aws_kms_key" "this" {
  for_each                = data.aws_iam_policy_document.key
  description             = "${var.name}: ${each.key}"
  enable_key_rotation     = true
  deletion_window_in_days = 30
  policy                  = each.value.json
}

resource "aws_kms_alias" "this" {
  for_each      = aws_kms_key.this
  name          = "alias/${var.name}-${each.key}"
  target_key_id = each.value.key_id
}
