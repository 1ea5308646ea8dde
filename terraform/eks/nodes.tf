data "aws_iam_policy_document" "node_assume" {
  statement {
    actions = ["sts:AssumeRole"]
    principals {
      type        = "Service"
      identifiers = ["ec2.amazonaws.com"]
    }
  }
}

resource "aws_iam_role" "node" {
  name               = "${var.name}-node"
  assume_role_policy = data.aws_iam_policy_document.node_assume.json
}

# Nothing of what pods do: they have roles of their own, see identities.tf.
resource "aws_iam_role_policy_attachment" "node" {
  for_each   = toset(["AmazonEKSWorkerNodeMinimalPolicy", "AmazonEC2ContainerRegistryPullOnly"])
  role       = aws_iam_role.node.name
  policy_arn = "${local.managed}/${each.key}"
}

resource "aws_launch_template" "node" {
  name                   = "${var.name}-node"
  update_default_version = true

  # One hop: a pod that is not in the node's own network does not get the node's role.
  metadata_options {
    http_endpoint               = "enabled"
    http_tokens                 = "required"
    http_put_response_hop_limit = 1
  }

  block_device_mappings {
    device_name = "/dev/xvda"
    ebs {
      volume_type           = "gp3"
      volume_size           = var.nodes.disk
      encrypted             = true
      delete_on_termination = true
    }
  }

  dynamic "tag_specifications" {
    for_each = toset(["instance", "volume"])
    content {
      resource_type = tag_specifications.key
      tags          = merge(var.tags, { Name = "${var.name}-node", "cluster" = var.name })
    }
  }
}

resource "aws_eks_node_group" "this" {
  cluster_name    = aws_eks_cluster.this.name
  node_group_name = "${var.name}-nodes"
  node_role_arn   = aws_iam_role.node.arn
  subnet_ids      = [for subnet in aws_subnet.private : subnet.id]
  version         = join(".", slice(split(".", var.node_release), 0, 2))
  release_version = var.node_release
  ami_type        = var.nodes.arm64 ? "AL2023_ARM_64_STANDARD" : "AL2023_x86_64_STANDARD"
  instance_types  = var.nodes.types
  labels          = var.nodes.labels

  launch_template {
    id      = aws_launch_template.node.id
    version = aws_launch_template.node.latest_version
  }

  scaling_config {
    min_size     = var.nodes.min
    max_size     = var.nodes.max
    desired_size = var.nodes.min
  }

  update_config {
    max_unavailable = 1
  }

  # Whoever scales it, a person or an autoscaler, is not undone by the next plan.
  lifecycle {
    ignore_changes = [scaling_config[0].desired_size]
  }

  # A node without its network or its identity would come up broken.
  depends_on = [
    aws_iam_role_policy_attachment.node,
    aws_eks_addon.before_nodes,
  ]
}
