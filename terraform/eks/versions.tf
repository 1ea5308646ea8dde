terraform {
  required_version = "~> 1.11"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = "5.100.0"
    }
  }
}

provider "aws" {
  region = var.region

  default_tags {
    tags = merge(var.tags, { "managed-by" = "terraform", "cluster" = var.name })
  }
}

data "aws_caller_identity" "current" {}

data "aws_partition" "current" {}
