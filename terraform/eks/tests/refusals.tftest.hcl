# What is refused before anything is asked of AWS: each variable that a run gives breaks one rule, and has to be named.
mock_provider "aws" {
  source = "./tests/mocks"
}

variables {
  admin_cidrs = ["203.0.113.0/24"]
  admins      = { ops = "arn:aws:iam::123456789012:role/ops" }
}

run "everyone_and_nobody" {
  command = plan
  variables {
    admin_cidrs  = ["0.0.0.0/0"]
    admins       = {}
    zones        = ["eu-central-1a", "eu-central-1b"]
    vpc_cidr     = "10.0.0.0/24"
    node_release = "latest"
    nodes        = { min = 2, max = 6 }
    databases    = { "../other" = { namespace = "a", service_account = "b" } }
    backup_days  = 1
    secrets      = { namespace = "a", service_account = "b", prefix = "" }
    name         = "collector.prod"
    addon_versions = {
      vpc_cni            = "latest"
      pod_identity_agent = "v1.3.10-eksbuild.3"
      kube_proxy         = "v1.35.0-eksbuild.2"
      coredns            = "v1.13.2-eksbuild.1"
      ebs_csi            = "v1.57.1-eksbuild.1"
    }
  }
  expect_failures = [var.admin_cidrs, var.admins, var.zones, var.vpc_cidr, var.node_release, var.nodes, var.databases, var.backup_days, var.secrets, var.name, var.addon_versions]
}

run "everyone_beside_someone" {
  command = plan
  variables {
    admin_cidrs  = ["203.0.113.0/24", "198.51.100.7/0"]
    admins       = { all = "arn:aws:iam::123456789012:root" }
    zones        = ["eu-central-1a", "eu-central-1b", "eu-central-1b"]
    node_release = "1.36.0-20260401"
    nodes        = { min = 3, max = 3 }
    databases    = { "*" = { namespace = "a", service_account = "b" } }
    addon_versions = {
      vpc_cni            = "v1.21.1-eksbuild.3"
      pod_identity_agent = "v1.3.10-eksbuild.3"
      kube_proxy         = "v1.35.0-eksbuild.2"
      coredns            = ""
      ebs_csi            = "v1.57.1-eksbuild.1"
    }
  }
  expect_failures = [var.admin_cidrs, var.admins, var.zones, var.node_release, var.nodes, var.databases, var.addon_versions]
}

run "everyone_by_ipv6" {
  command = plan
  variables {
    admin_cidrs  = ["::/0"]
    admins       = { all = "arn:aws:iam::123456789012:role/*" }
    zones        = ["us-east-1a", "us-east-1b", "us-east-1c"]
    node_release = "1.33.0-20250704"
    nodes        = { disk = 8 }
    addon_versions = {
      vpc_cni            = "v1.21.1-eksbuild.3"
      pod_identity_agent = "v1.3.10-eksbuild.3"
      kube_proxy         = "v1.35.0-eksbuild.2"
      coredns            = "v1.13.2-eksbuild.1"
      ebs_csi            = "v1.57.1"
    }
  }
  expect_failures = [var.admin_cidrs, var.admins, var.zones, var.node_release, var.nodes, var.addon_versions]
}

run "half_of_everyone" {
  command = plan
  variables {
    kubernetes_version = "latest"
    admin_cidrs        = ["0.0.0.0/1", "128.0.0.0/1"]
    viewers            = { all = "arn:aws:iam::123456789012:root" }
  }
  expect_failures = [var.kubernetes_version, var.admin_cidrs, var.viewers]
}

run "no_network" {
  command = plan
  variables {
    kubernetes_version = "1"
    admin_cidrs        = ["203.0.113.7"]
  }
  expect_failures = [var.kubernetes_version, var.admin_cidrs]
}
