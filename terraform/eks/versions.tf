terraform {
  required_version = "~> 1.11"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = "5.100.0"
    }
  }

  # Bucket, key and region are given at init, see README.md. Two runs at once are kept apart by a file in the bucket.
  backend "s3" {
    use_lockfile = true
    encrypt      = true
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
