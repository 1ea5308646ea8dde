variable "kubeconfig" {
  description = "Path of the kubeconfig: k3s's as terraform/hetzner tells how to fetch it, EKS's as `aws eks update-kubeconfig` writes it."
  type        = string

  validation {
    condition     = trimspace(var.kubeconfig) != ""
    error_message = "A path: without one, whatever cluster the machine is in would be taken."
  }
}

variable "context" {
  description = "Which of the kubeconfig's contexts."
  type        = string

  validation {
    condition     = trimspace(var.context) != ""
    error_message = "A context: the current one may be another cluster's tomorrow."
  }
}

variable "argocd" {
  description = "Path of the folder argocd: what to install, with which values, and the root Application. Null: this repository's."
  type        = string
  default     = null
}

variable "storage" {
  description = "Make the default StorageClass: ebs (gp3, encrypted) on EKS. Empty where the cluster brings one, as k3s with Hetzner's CSI does."
  type        = string
  default     = ""

  validation {
    condition     = contains(["", "ebs"], var.storage)
    error_message = "ebs, or empty."
  }
}

variable "narrate_url" {
  description = "Address of a collector that is told of each apply that changed something; empty: none is. Its token, if it asks for one, is in COLLECTOR_TOKEN."
  type        = string
  default     = ""

  validation {
    condition     = var.narrate_url == "" || can(regex("^https?://[A-Za-z0-9.:\\[\\]-]+$", var.narrate_url))
    error_message = "The address of a collector, such as https://collector.example.com, without a path; or empty."
  }
}

variable "subject" {
  description = "What the told event is about: the cluster's name, say."
  type        = string
  default     = "argocd"
}
