variable "account_id" {
  description = "Account at Cloudflare, which monitors and pools belong to."
  type        = string

  validation {
    condition     = can(regex("^[0-9a-f]{32}$", var.account_id))
    error_message = "32 hexadecimal digits: the dashboard shows them beside the account's name."
  }
}

variable "zone_id" {
  description = "Zone at Cloudflare, which the host's name belongs to."
  type        = string

  validation {
    condition     = can(regex("^[0-9a-f]{32}$", var.zone_id))
    error_message = "32 hexadecimal digits: the dashboard shows them on the zone's page."
  }
}

variable "hostname" {
  description = "Under which the collector is found, whichever region answers."
  type        = string

  validation {
    condition     = can(regex("^([a-z0-9-]+\\.){2,}[a-z]{2,}$", var.hostname))
    error_message = "The name of a host in the zone, such as collector.example.com."
  }
}

variable "regions" {
  description = "Each region: the host that its own load balancer answers at, where its clients are, and whether the database that takes writes is there."
  type = map(object({
    origin  = string
    serves  = optional(set(string), [])
    primary = optional(bool, false)
  }))

  validation {
    condition     = length([for region in values(var.regions) : region if region.primary]) == 1
    error_message = "Exactly one region is the primary: one database takes the writes of all."
  }

  validation {
    condition     = alltrue([for name in keys(var.regions) : can(regex("^[a-z][a-z0-9-]{0,30}$", name))])
    error_message = "Names of a-z, 0-9 and -: they become names of pools."
  }

  validation {
    condition     = alltrue([for region in values(var.regions) : can(regex("^([a-z0-9-]+\\.){2,}[a-z]{2,}$", region.origin))])
    error_message = "An origin is the name of a host: an address changes when a load balancer is made anew, and bears no certificate."
  }

  validation {
    condition = (
      !contains([for region in values(var.regions) : region.origin], var.hostname)
      && length(distinct([for region in values(var.regions) : region.origin])) == length(var.regions)
    )
    error_message = "An origin is of one region, and never the public name itself: requests would go round."
  }

  validation {
    condition     = alltrue(flatten([for region in values(var.regions) : [for code in region.serves : contains(["WNAM", "ENAM", "WEU", "EEU", "NSAM", "SSAM", "OC", "ME", "NAF", "SAF", "SAS", "SEAS", "NEAS"], code)]]))
    error_message = "Cloudflare knows WNAM, ENAM, WEU, EEU, NSAM, SSAM, OC, ME, NAF, SAF, SAS, SEAS and NEAS."
  }

  validation {
    condition     = length(flatten([for region in values(var.regions) : tolist(region.serves)])) == length(distinct(flatten([for region in values(var.regions) : tolist(region.serves)])))
    error_message = "A part of the world is served by one region; the others follow by themselves when that is away."
  }
}

variable "monitor_seconds" {
  description = "How often each of Cloudflare's places looks at each region: 60 with the smallest plan."
  type        = number
  default     = 60

  validation {
    condition     = var.monitor_seconds >= 10 && var.monitor_seconds <= 3600
    error_message = "10 to 3600 seconds; below 60 it takes a larger plan."
  }
}
