terraform {
  required_version = "~> 1.11"

  required_providers {
    cloudflare = {
      source  = "cloudflare/cloudflare"
      version = "5.12.0"
    }
  }
}

# Takes its token from CLOUDFLARE_API_TOKEN: a token in a variable would be in the state.
provider "cloudflare" {}
