variable "cluster_name" {
  description = "Name of the cluster; servers are called by it and their role"
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{0,29}[a-z0-9]$", var.cluster_name))
    error_message = "A cluster_name has 2 to 31 letters, digits and dashes, in lower case, and begins with a letter: it is part of host names."
  }
}

variable "k3s_version" {
  description = "Version of k3s, one exactly, such as v1.35.5+k3s1"
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^v[0-9]+\\.[0-9]+\\.[0-9]+\\+k3s[0-9]+$", var.k3s_version))
    error_message = "The k3s_version has to be one release, vX.Y.Z+k3sN: a channel would give each server another."
  }
}

variable "control_planes" {
  description = "How many control planes, which hold etcd, and their type of server"
  type = object({
    count       = number
    server_type = string
  })
  nullable = false

  validation {
    condition     = contains([1, 3, 5], var.control_planes.count)
    error_message = "There are 1, 3 or 5 control_planes: etcd needs a majority, and an even number has no more of it than one fewer."
  }
}

variable "founder" {
  description = "Number of the control plane that founds the cluster, which the others join through; another when number 1 is replaced"
  type        = number
  default     = 1
  nullable    = false

  validation {
    condition     = var.founder >= 1 && var.founder <= var.control_planes.count && floor(var.founder) == var.founder
    error_message = "The founder is one of the control_planes, by number."
  }
}

variable "workers" {
  description = "Pools of servers that run what is deployed: how many, of which type, and their block of ten addresses, which is theirs for good; none: the control planes run it"
  type = map(object({
    count       = number
    server_type = string
    block       = number
    labels      = optional(map(string), {})
    taints      = optional(list(string), [])
  }))
  default  = {}
  nullable = false

  validation {
    condition     = alltrue([for name in keys(var.workers) : can(regex("^[a-z][a-z0-9-]{0,14}$", name)) && name != "cp"])
    error_message = "A pool's name has up to 15 letters, digits and dashes, in lower case, begins with a letter, and is not cp."
  }

  validation {
    condition     = alltrue([for pool in values(var.workers) : pool.count >= 0 && pool.count <= 10 && floor(pool.count) == pool.count])
    error_message = "A pool has 0 to 10 servers: no more are spread over hosts, and its block has no more addresses."
  }

  validation {
    condition     = alltrue([for pool in values(var.workers) : pool.block >= 1 && floor(pool.block) == pool.block])
    error_message = "Blocks are counted from 1."
  }

  validation {
    condition     = length(distinct([for pool in values(var.workers) : pool.block])) == length(var.workers)
    error_message = "Two pools have the same block of addresses."
  }
}

variable "network" {
  description = "The private network and the range in it that servers have their addresses of"
  type = object({
    cidr   = optional(string, "10.0.0.0/16")
    subnet = optional(string, "10.0.1.0/24")
  })
  default  = {}
  nullable = false

  validation {
    condition     = alltrue([for cidr in values(var.network) : can(cidrnetmask(cidr))])
    error_message = "The network's cidr and subnet are IPv4, such as 10.0.0.0/16 and 10.0.1.0/24."
  }

  validation {
    condition = try(
      tonumber(split("/", var.network.subnet)[1]) >= tonumber(split("/", var.network.cidr)[1])
      && cidrhost(var.network.cidr, 0) == cidrhost("${cidrhost(var.network.subnet, 0)}/${split("/", var.network.cidr)[1]}", 0),
    false)
    error_message = "The subnet is not part of the network's cidr."
  }

  validation {
    # The first address is the gateway's, the second the balancer's, the last the broadcast's.
    condition = try(
      pow(2, 32 - tonumber(split("/", var.network.subnet)[1])) - 1 > max(
        10 + var.control_planes.count - 1,
        [for pool in values(var.workers) : 10 * pool.block + max(pool.count, 1) + 9]...
    ), false)
    error_message = "The subnet is too small for the control planes, which begin at its tenth address, and the blocks of the workers."
  }
}

variable "pod_cidr" {
  description = "Range that pods have their addresses of"
  type        = string
  default     = "10.42.0.0/16"
  nullable    = false

  validation {
    condition     = can(cidrnetmask(var.pod_cidr)) && try(tonumber(split("/", var.pod_cidr)[1]) <= 20, false)
    error_message = "The pod_cidr is IPv4 and at most a /20: every node takes a /24 of it."
  }

  validation {
    condition     = try(cidrhost("${split("/", var.pod_cidr)[0]}/${min(tonumber(split("/", var.pod_cidr)[1]), tonumber(split("/", var.network.cidr)[1]))}", 0) != cidrhost("${split("/", var.network.cidr)[0]}/${min(tonumber(split("/", var.pod_cidr)[1]), tonumber(split("/", var.network.cidr)[1]))}", 0), false)
    error_message = "The pod_cidr overlaps the network's."
  }
}

variable "service_cidr" {
  description = "Range that Services have their addresses of"
  type        = string
  default     = "10.43.0.0/16"
  nullable    = false

  validation {
    condition     = can(cidrnetmask(var.service_cidr)) && try(tonumber(split("/", var.service_cidr)[1]) <= 24, false)
    error_message = "The service_cidr is IPv4 and at most a /24."
  }

  validation {
    condition     = try(cidrhost("${split("/", var.service_cidr)[0]}/${min(tonumber(split("/", var.service_cidr)[1]), tonumber(split("/", var.network.cidr)[1]))}", 0) != cidrhost("${split("/", var.network.cidr)[0]}/${min(tonumber(split("/", var.service_cidr)[1]), tonumber(split("/", var.network.cidr)[1]))}", 0), false) && try(cidrhost("${split("/", var.service_cidr)[0]}/${min(tonumber(split("/", var.service_cidr)[1]), tonumber(split("/", var.pod_cidr)[1]))}", 0) != cidrhost("${split("/", var.pod_cidr)[0]}/${min(tonumber(split("/", var.service_cidr)[1]), tonumber(split("/", var.pod_cidr)[1]))}", 0), false)
    error_message = "The service_cidr overlaps the network's or the pods'."
  }
}

variable "admin_cidrs" {
  description = "Who reaches SSH and the Kubernetes API: ranges of IPv4 or IPv6"
  type        = list(string)
  nullable    = false

  validation {
    condition     = length(var.admin_cidrs) > 0
    error_message = "Without admin_cidrs nobody reaches the cluster."
  }

  validation {
    condition     = alltrue([for cidr in var.admin_cidrs : can(cidrhost(cidr, 0))])
    error_message = "The admin_cidrs are ranges such as 192.0.2.7/32 or 2001:db8::/64."
  }

  validation {
    # What has half of the world in it is the world in two ranges.
    condition     = alltrue([for cidr in var.admin_cidrs : try(tonumber(split("/", cidr)[1]) >= (strcontains(cidr, ":") ? 16 : 8), false)])
    error_message = "The admin_cidrs must not be the whole world (/0), nor a large part of it: at most a /8 of IPv4 or a /16 of IPv6."
  }
}

variable "token" {
  description = "Secret by which servers join"
  type        = string
  sensitive   = true
  nullable    = false

  validation {
    condition     = can(regex("^[A-Za-z0-9]{32,}$", var.token))
    error_message = "The token has at least 32 letters and digits: openssl rand -hex 32."
  }
}

variable "api_names" {
  description = "Names, beside its addresses, under which the Kubernetes API is reached"
  type        = list(string)
  default     = []
  nullable    = false
}

variable "public_ports" {
  description = "TCP ports of every server that the world reaches; none where a load balancer stands before them"
  type        = list(number)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for port in var.public_ports : contains([80, 443], port)])
    error_message = "The world reaches HTTP and HTTPS, 80 and 443, and nothing else."
  }
}

variable "snapshots" {
  description = "Where etcd's snapshots go, by the S3 protocol: with what schedule (cron, UTC), and how many are kept"
  type = object({
    endpoint   = string
    region     = string
    bucket     = string
    folder     = optional(string)
    schedule   = optional(string, "0 */6 * * *")
    retention  = optional(number, 28)
    access_key = string
    secret_key = string
  })
  sensitive = true
  nullable  = false

  validation {
    condition     = can(regex("^[a-z0-9.-]+(:[0-9]+)?$", var.snapshots.endpoint))
    error_message = "The endpoint of the snapshots is a host name, without https://."
  }

  validation {
    condition     = alltrue([for text in [var.snapshots.region, var.snapshots.bucket, var.snapshots.access_key, var.snapshots.secret_key] : length(text) > 0])
    error_message = "The snapshots need a region, a bucket and its credentials: a cluster that nobody can restore is not worth having."
  }

  validation {
    condition     = length(split(" ", var.snapshots.schedule)) == 5 && var.snapshots.retention >= 1
    error_message = "The snapshots have a schedule of five fields, and at least one is kept."
  }
}

variable "cloud" {
  description = "What the cluster's own controllers use to talk to the cloud: an API token, and the name of the private network"
  type = object({
    token   = string
    network = string
  })
  sensitive = true
  nullable  = false
}

variable "charts" {
  description = "Versions of the charts that make nodes and volumes of servers and disks, and reboot for updates"
  type = object({
    ccm   = optional(string, "1.33.0")
    csi   = optional(string, "2.21.0")
    kured = optional(string, "6.1.0")
  })
  default  = {}
  nullable = false

  validation {
    condition     = alltrue([for version in values(var.charts) : can(regex("^[0-9]+\\.[0-9]+\\.[0-9]+$", version))])
    error_message = "Charts are pinned to one version each, X.Y.Z."
  }
}

variable "reboots" {
  description = "When kured may reboot a server that needs it, one after the other, in UTC"
  type = object({
    days  = optional(list(string), ["mon", "tue", "wed", "thu"])
    start = optional(string, "02:00")
    end   = optional(string, "05:00")
  })
  default  = {}
  nullable = false
}
