variable "hcloud_token" {
  description = "API token of the project at Hetzner, to read and write; the cluster's own controllers get cluster_token"
  type        = string
  sensitive   = true
  nullable    = false
}

variable "cluster_token" {
  description = "API token of the same project for the cluster's controllers, so that either can be revoked alone"
  type        = string
  sensitive   = true
  nullable    = false
}

variable "cluster_name" {
  description = "Name of the cluster, and of everything that is made for it"
  type        = string
  nullable    = false
}

variable "location" {
  description = "Where servers are: fsn1, nbg1 or hel1, which share a private network"
  type        = string
  default     = "fsn1"
  nullable    = false

  validation {
    condition     = contains(["fsn1", "nbg1", "hel1"], var.location)
    error_message = "The location is fsn1, nbg1 or hel1: the private network is of the zone eu-central."
  }
}

variable "image" {
  description = "Image of the servers, of which cloud-init is part"
  type        = string
  default     = "ubuntu-24.04"
  nullable    = false
}

variable "ssh_keys" {
  description = "Public keys of those who may log in as root, by name"
  type        = map(string)
  nullable    = false

  validation {
    condition     = length(var.ssh_keys) > 0 && alltrue([for key in values(var.ssh_keys) : can(regex("^(ssh-ed25519|ssh-rsa|ecdsa-sha2-|sk-)", key))])
    error_message = "At least one public key, as in ~/.ssh/id_ed25519.pub: without one Hetzner sends a password by mail."
  }
}

variable "k3s_version" {
  description = "Version of k3s, one exactly, such as v1.35.5+k3s1"
  type        = string
  nullable    = false
}

variable "control_planes" {
  description = "How many control planes, 1, 3 or 5, and their type of server"
  type = object({
    count       = number
    server_type = string
  })
  nullable = false
}

variable "founder" {
  description = "Number of the control plane that the others join through"
  type        = number
  default     = 1
  nullable    = false
}

variable "workers" {
  description = "Pools of workers, see modules/k3s"
  type = map(object({
    count       = number
    server_type = string
    block       = number
    labels      = optional(map(string), {})
    taints      = optional(list(string), [])
  }))
  default  = {}
  nullable = false
}

variable "admin_cidrs" {
  description = "Who reaches SSH and the Kubernetes API"
  type        = list(string)
  nullable    = false
}

variable "api_names" {
  description = "Names under which the Kubernetes API is reached"
  type        = list(string)
  default     = []
  nullable    = false
}

variable "k3s_token" {
  description = "Secret by which servers join: openssl rand -hex 32"
  type        = string
  sensitive   = true
  nullable    = false
}

variable "snapshots" {
  description = "Where etcd's snapshots go, by the S3 protocol, see modules/k3s"
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
}

variable "load_balancer" {
  description = "Type of the load balancer before the servers, and whether it tells them the client by the PROXY protocol; null: the world comes to the servers themselves"
  type = object({
    type           = optional(string, "lb11")
    proxy_protocol = optional(bool, false)
  })
  default = null
}

variable "protected" {
  description = "Whether Hetzner refuses to delete the servers, the network and the load balancer; false before they may go"
  type        = bool
  default     = true
  nullable    = false
}
