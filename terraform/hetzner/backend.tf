# The state holds the cluster's token and keys: a bucket of its own, private, encrypted and versioned. Its name comes from
# `terraform init -backend-config=backend.hcl` (see examples/backend.hcl); the lock is a file beside the state.
terraform {
  backend "s3" {
    key          = "hetzner/terraform.tfstate"
    encrypt      = true
    use_lockfile = true
  }
}
