# A bucket of its own, private and versioned. Its name comes from `terraform init -backend-config=backend.hcl`, see
# README.md; the lock is a file beside the state.
terraform {
  backend "s3" {
    key          = "eks/terraform.tfstate"
    use_lockfile = true
    encrypt      = true
  }
}
