locals {
  # Below it, names bear a digest of what they name.
  assets = "/page/v-"
}

# In order, and the last that matches decides. Events, streams and the page itself are never kept: what was read is true
# at that moment, for that token.
resource "cloudflare_ruleset" "cache" {
  zone_id = var.zone_id
  name    = "${var.hostname}: what is kept"
  kind    = "zone"
  phase   = "http_request_cache_settings"

  rules = [
    {
      ref               = "nothing"
      description       = "Nothing is kept"
      expression        = "http.host eq \"${var.hostname}\""
      action            = "set_cache_settings"
      enabled           = true
      action_parameters = { cache = false, edge_ttl = null, browser_ttl = null }
    },
    {
      ref         = "assets"
      description = "but files that bear a digest, for as long as the collector says, and not at all where it says nothing"
      expression  = "http.host eq \"${var.hostname}\" and starts_with(http.request.uri.path, \"${local.assets}\")"
      action      = "set_cache_settings"
      enabled     = true
      action_parameters = {
        cache       = true
        edge_ttl    = { mode = "bypass_by_default" }
        browser_ttl = { mode = "respect_origin" }
      }
    },
  ]
}
