# No provider: what this module decides, it decides from its variables alone, and any cloud can be wired to it.
terraform {
  required_version = ">= 1.11"
}
