terraform {
  required_version = ">= 1.11"

  required_providers {
    hcloud = {
      source  = "hetznercloud/hcloud"
      version = "1.64.0"
    }
  }
}

provider "hcloud" {
  token = var.hcloud_token
}
