mock_provider "cloudflare" {}

variables {
  account_id = "00000000000000000000000000000001"
  zone_id    = "00000000000000000000000000000002"
  hostname   = "collector.example.com"
  regions = {
    us = { origin = "us.collector.example.com", serves = ["WNAM", "ENAM"] }
    eu = { origin = "eu.collector.example.com", serves = ["WEU", "EEU"], primary = true }
    ap = { origin = "ap.collector.example.com", serves = ["SEAS", "NEAS", "OC"] }
  }
}

override_resource {
  target          = cloudflare_load_balancer_pool.region["us"]
  override_during = plan
  values          = { id = "pool-us" }
}

override_resource {
  target          = cloudflare_load_balancer_pool.region["eu"]
  override_during = plan
  values          = { id = "pool-eu" }
}

override_resource {
  target          = cloudflare_load_balancer_pool.region["ap"]
  override_during = plan
  values          = { id = "pool-ap" }
}

run "steering" {
  command = plan

  assert {
    condition     = tolist(cloudflare_load_balancer.this.region_pools["OC"]) == tolist(["pool-ap", "pool-eu", "pool-us"])
    error_message = "The nearest, then the primary, then the rest."
  }

  assert {
    condition     = tolist(cloudflare_load_balancer.this.region_pools["WEU"]) == tolist(["pool-eu", "pool-ap", "pool-us"])
    error_message = "Near the primary it is the primary, then the rest by name."
  }

  assert {
    condition     = length(cloudflare_load_balancer.this.region_pools) == 7
    error_message = "As many parts of the world as are named."
  }

  assert {
    condition     = tolist(cloudflare_load_balancer.this.default_pools) == tolist(["pool-eu", "pool-ap", "pool-us"]) && cloudflare_load_balancer.this.fallback_pool == "pool-eu"
    error_message = "From anywhere else, and when all are away: the primary."
  }

  assert {
    condition     = cloudflare_load_balancer.this.steering_policy == "geo" && cloudflare_load_balancer.this.session_affinity == "none" && cloudflare_load_balancer.this.proxied
    error_message = "By place, through the CDN, and nobody is tied to a region."
  }

  assert {
    condition     = !cloudflare_load_balancer.this.adaptive_routing.failover_across_pools
    error_message = "A POST whose answer was lost must not be sent again elsewhere."
  }
}

run "monitor" {
  command = plan

  assert {
    condition     = contains(["/", "/openapi.json"], cloudflare_load_balancer_monitor.page.path) && cloudflare_load_balancer_monitor.page.expected_codes == "200" && !cloudflare_load_balancer_monitor.page.allow_insecure
    error_message = "A path that is public and needs no token, over TLS that is verified."
  }

  assert {
    condition     = cloudflare_load_balancer_pool.region["us"].origins[0].header.host == tolist(["collector.example.com"])
    error_message = "A region's gateway knows the public name."
  }
}

run "cache" {
  command = plan

  assert {
    condition     = !cloudflare_ruleset.cache.rules[0].action_parameters.cache && cloudflare_ruleset.cache.rules[0].expression == "http.host eq \"collector.example.com\""
    error_message = "First of all, nothing is kept."
  }

  assert {
    condition     = length([for rule in cloudflare_ruleset.cache.rules : rule if rule.action_parameters.cache]) == 1 && strcontains(cloudflare_ruleset.cache.rules[1].expression, "starts_with(http.request.uri.path, \"/page/v-\")")
    error_message = "One rule keeps, and only files that bear a digest: never /events."
  }

  assert {
    condition     = cloudflare_ruleset.cache.rules[1].action_parameters.edge_ttl.mode == "bypass_by_default"
    error_message = "Where the collector says nothing, nothing is kept."
  }
}

run "one_region" {
  command = plan
  variables {
    regions = { eu = { origin = "eu.collector.example.com", primary = true } }
  }

  assert {
    condition     = length(cloudflare_load_balancer.this.region_pools) == 0 && tolist(cloudflare_load_balancer.this.default_pools) == tolist(["pool-eu"])
    error_message = "One region serves everyone."
  }
}

run "refuses_names_for_numbers" {
  command = plan
  variables {
    account_id      = "me"
    zone_id         = "example.com"
    hostname        = "localhost"
    monitor_seconds = 1
  }
  expect_failures = [var.account_id, var.zone_id, var.hostname, var.monitor_seconds]
}

run "refuses_two_primaries" {
  command = plan
  variables {
    regions = {
      us = { origin = "us.collector.example.com", primary = true }
      eu = { origin = "eu.collector.example.com", primary = true }
    }
  }
  expect_failures = [var.regions]
}

run "refuses_no_primary" {
  command = plan
  variables {
    regions = { us = { origin = "us.collector.example.com" } }
  }
  expect_failures = [var.regions]
}

run "refuses_a_part_of_the_world_twice" {
  command = plan
  variables {
    regions = {
      us = { origin = "us.collector.example.com", serves = ["WEU"] }
      eu = { origin = "eu.collector.example.com", serves = ["WEU"], primary = true }
    }
  }
  expect_failures = [var.regions]
}

run "refuses_an_unknown_part_of_the_world" {
  command = plan
  variables {
    regions = { eu = { origin = "eu.collector.example.com", serves = ["EUROPE"], primary = true } }
  }
  expect_failures = [var.regions]
}

run "refuses_an_address_as_origin" {
  command = plan
  variables {
    regions = { eu = { origin = "203.0.113.7", primary = true } }
  }
  expect_failures = [var.regions]
}

run "refuses_itself_as_origin" {
  command = plan
  variables {
    regions = { eu = { origin = "collector.example.com", primary = true } }
  }
  expect_failures = [var.regions]
}
