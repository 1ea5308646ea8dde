variable "name" {
  description = "Name of the cluster, and the beginning of the name of whatever belongs to it."
  type        = string
  default     = "collector"

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,30}[a-z0-9]$", var.name))
    error_message = "3 to 32 of a-z, 0-9 and -, a letter first: it becomes part of the names of roles and buckets."
  }
}

variable "region" {
  description = "Region of AWS."
  type        = string
  default     = "eu-central-1"
}

variable "zones" {
  description = "Three availability zones of the region: a subnet of each kind in each."
  type        = list(string)
  default     = ["eu-central-1a", "eu-central-1b", "eu-central-1c"]

  validation {
    condition     = length(distinct(var.zones)) == 3 && length(var.zones) == 3
    error_message = "Three different zones: the database keeps a quorum of three, and one zone may go."
  }

  validation {
    condition     = alltrue([for zone in var.zones : startswith(zone, var.region)])
    error_message = "A zone is not of this region."
  }
}

variable "vpc_cidr" {
  description = "Addresses of the network, a /16 to /18: pods have addresses of it, too."
  type        = string
  default     = "10.20.0.0/16"

  validation {
    condition     = can(cidrhost(var.vpc_cidr, 0)) && can(regex("/1[678]$", var.vpc_cidr))
    error_message = "An IPv4 network of /16 to /18: pods have addresses of it, too, so that less runs out."
  }
}

variable "nat_per_zone" {
  description = "A NAT gateway in each zone, so that a lost zone does not take the others' way out along; else one."
  type        = bool
  default     = false
}

variable "interface_endpoints" {
  description = "Services of AWS that are reached without NAT, such as ecr.api, ecr.dkr, sts; each costs by hour and zone."
  type        = set(string)
  default     = []
}

variable "admin_cidrs" {
  description = "From where the API server's public address answers. Empty: it has none, and is reached from the network only."
  type        = set(string)

  validation {
    condition     = alltrue([for cidr in var.admin_cidrs : can(cidrhost(cidr, 0))])
    error_message = "Networks in CIDR notation, such as 203.0.113.7/32."
  }

  validation {
    condition     = alltrue([for cidr in var.admin_cidrs : !endswith(cidr, "/0")])
    error_message = "/0 is everyone. Name the networks that administrators come from."
  }

  validation {
    condition     = alltrue([for cidr in var.admin_cidrs : try(tonumber(split("/", cidr)[1]) >= 16, false)])
    error_message = "At least /16: two halves of the world are everyone, too."
  }
}

variable "admins" {
  description = "Who administers the cluster: ARNs of roles or users, by a name of yours."
  type        = map(string)

  validation {
    condition     = length(var.admins) > 0
    error_message = "At least one: who creates the cluster has no rights in it by that alone."
  }

  validation {
    condition     = alltrue([for arn in values(var.admins) : can(regex("^arn:aws[a-z-]*:iam::[0-9]{12}:(role|user)/[^*]+$", arn))])
    error_message = "ARNs of a role or a user: not of an account (its root is everyone in it), and no wildcard."
  }
}

variable "viewers" {
  description = "Who may look at everything but secrets: ARNs of roles or users, by a name of yours."
  type        = map(string)
  default     = {}

  validation {
    condition     = alltrue([for arn in values(var.viewers) : can(regex("^arn:aws[a-z-]*:iam::[0-9]{12}:(role|user)/[^*]+$", arn))])
    error_message = "ARNs of a role or a user: not of an account (its root is everyone in it), and no wildcard."
  }
}

variable "kubernetes_version" {
  description = "Minor version of Kubernetes; up by one at a time, see README.md."
  type        = string
  default     = "1.35"

  validation {
    condition     = can(regex("^1\\.[0-9]{2}$", var.kubernetes_version))
    error_message = "A minor version such as 1.35: what is not pinned moves by itself."
  }
}

variable "node_release" {
  description = "Release of the nodes' image (Amazon Linux 2023), of the same minor version or one below while upgrading."
  type        = string
  default     = "1.35.0-20260129"

  validation {
    condition     = can(regex("^1\\.[0-9]{2}\\.[0-9]+-20[0-9]{6}$", var.node_release))
    error_message = "A release such as 1.35.0-20260129: what is not pinned moves by itself."
  }

  validation {
    condition = try(contains(
      [0, 1],
      tonumber(split(".", var.kubernetes_version)[1]) - tonumber(split(".", var.node_release)[1]),
    ), false)
    error_message = "The nodes' minor version is the control plane's, or one below while it is upgraded; never above."
  }
}

variable "addon_versions" {
  description = "Version of each add-on; `aws eks describe-addon-versions --kubernetes-version 1.35` lists them."
  type = object({
    vpc_cni            = string
    pod_identity_agent = string
    kube_proxy         = string
    coredns            = string
    ebs_csi            = string
  })
  default = {
    vpc_cni            = "v1.21.1-eksbuild.3"
    pod_identity_agent = "v1.3.10-eksbuild.3"
    kube_proxy         = "v1.35.0-eksbuild.2"
    coredns            = "v1.13.2-eksbuild.1"
    ebs_csi            = "v1.57.1-eksbuild.1"
  }

  validation {
    condition     = alltrue([for version in values(var.addon_versions) : can(regex("^v[0-9]+\\.[0-9]+\\.[0-9]+-eksbuild\\.[0-9]+$", version))])
    error_message = "Versions such as v1.21.1-eksbuild.3: what is not pinned moves by itself."
  }
}

variable "nodes" {
  description = "The node group: instance types (all x86-64 or all arm64, as `arm64` says), how many, GiB of the root disk."
  type = object({
    types  = optional(list(string), ["t3.large"])
    arm64  = optional(bool, false)
    min    = optional(number, 3)
    max    = optional(number, 6)
    disk   = optional(number, 50)
    labels = optional(map(string), {})
  })
  default = {}

  validation {
    condition     = var.nodes.min >= 3 && var.nodes.max > var.nodes.min
    error_message = "At least three nodes, one a zone, and room for one more: an upgrade adds one before it takes one."
  }

  validation {
    condition     = var.nodes.disk >= 20
    error_message = "At least 20 GiB: images, logs and the kubelet's own reserve are on it."
  }
}

variable "databases" {
  description = "Who keeps backups: the service account of each PostgreSQL by CloudNativePG, by the folder of its own in the bucket."
  type        = map(object({ namespace = string, service_account = string }))
  default     = { production = { namespace = "collector-production", service_account = "collector-postgres" } }

  validation {
    condition     = alltrue([for folder in keys(var.databases) : can(regex("^[a-z0-9][a-z0-9-]{0,40}$", folder))])
    error_message = "Folders of a-z, 0-9 and -: a wildcard or a slash would reach into another's."
  }
}

variable "secrets" {
  description = "Who reads secrets of Secrets Manager, and which: those whose names begin so."
  type        = object({ namespace = string, service_account = string, prefix = string })
  default     = { namespace = "external-secrets", service_account = "external-secrets", prefix = "collector/" }

  validation {
    condition     = can(regex("^[a-z0-9][a-z0-9-]*/$", var.secrets.prefix))
    error_message = "A folder such as collector/: anything shorter would be another's secrets, too."
  }
}

variable "backup_days" {
  description = "How long a backup stays in the bucket after it was deleted or replaced; how long it is kept at all, CloudNativePG's ObjectStore says."
  type        = number
  default     = 30

  validation {
    condition     = var.backup_days >= 7
    error_message = "At least 7: who deletes backups by mistake, or on purpose, is noticed within days, not hours."
  }
}

variable "log_days" {
  description = "How long logs of the control plane and of the network are kept; one of the numbers that CloudWatch knows."
  type        = number
  default     = 365
}

variable "tags" {
  description = "More tags of everything that can bear them."
  type        = map(string)
  default     = {}
}
