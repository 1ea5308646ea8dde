locals {
  primary = one([for name, region in var.regions : name if region.primary])

  # Whoever has no healthy region near goes to the primary first, where a write has the shortest way.
  order = concat([local.primary], sort([for name, region in var.regions : name if !region.primary]))

  # A part of the world to its regions: the one that serves it, then the rest in that order.
  steering = merge([
    for name, region in var.regions : {
      for code in region.serves : code => concat([name], [for other in local.order : other if other != name])
    }
  ]...)
}

# Readiness is not public, and need not be: a gateway that has no ready pod answers 503 whatever it is asked. The page
# is a public path that needs no token and no database; its title says that it is the collector who answers.
resource "cloudflare_load_balancer_monitor" "page" {
  account_id       = var.account_id
  description      = "${var.hostname}: the timeline"
  type             = "https"
  method           = "GET"
  path             = "/"
  port             = 443
  header           = { Host = [var.hostname] }
  expected_codes   = "200"
  expected_body    = "<title>Collector"
  follow_redirects = false
  allow_insecure   = false
  interval         = var.monitor_seconds
  timeout          = 5
  retries          = 2
  consecutive_down = 2
  consecutive_up   = 2
}

resource "cloudflare_load_balancer_pool" "region" {
  for_each        = var.regions
  account_id      = var.account_id
  name            = "${replace(var.hostname, ".", "-")}-${each.key}"
  description     = each.value.primary ? "takes writes" : "reads here, writes to ${local.primary}"
  monitor         = cloudflare_load_balancer_monitor.page.id
  minimum_origins = 1
  # The region's gateway knows the public name, and has its certificate.
  origins = [{ name = each.key, address = each.value.origin, enabled = true, header = { host = [var.hostname] } }]
}

# Writes are steered like reads: a collector sends them to the primary's database by itself, and its answer bears the
# position that the next read needs wherever it goes. So nobody has to stay with one region either.
resource "cloudflare_load_balancer" "this" {
  zone_id          = var.zone_id
  name             = var.hostname
  description      = "The nearest region, then the primary, then the others"
  proxied          = true
  steering_policy  = "geo"
  session_affinity = "none"
  default_pools    = [for name in local.order : cloudflare_load_balancer_pool.region[name].id]
  fallback_pool    = cloudflare_load_balancer_pool.region[local.primary].id
  region_pools     = { for code, names in local.steering : code => [for name in names : cloudflare_load_balancer_pool.region[name].id] }
  # Never sent again elsewhere behind the client's back: a POST whose answer was lost may have been kept.
  adaptive_routing = { failover_across_pools = false }
}
