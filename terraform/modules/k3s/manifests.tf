# What k3s applies by itself once it runs, in the order of the names: whoever makes nodes usable, then volumes, then the rest.
locals {
  manifests = {
    "00-cloud.yaml" = yamlencode({
      apiVersion = "v1"
      kind       = "Secret"
      metadata   = { name = "hcloud", namespace = "kube-system" }
      stringData = var.cloud
    })
    "10-ccm.yaml" = yamlencode(merge(local.chart, {
      metadata = { name = "hcloud-cloud-controller-manager", namespace = "kube-system" }
      spec = {
        repo            = "https://charts.hetzner.cloud"
        chart           = "hcloud-cloud-controller-manager"
        version         = var.charts.ccm
        targetNamespace = "kube-system"
        bootstrap       = true # it runs before there is a node that is ready: it is what makes one so
        valuesContent = yamlencode({
          networking = { enabled = true, clusterCIDR = var.pod_cidr }
          env = {
            HCLOUD_NETWORK_ROUTES_ENABLED = { value = "false" } # pods talk through WireGuard
            HCLOUD_LOAD_BALANCERS_ENABLED = { value = "false" } # k3s serves Services on the nodes; Terraform owns the balancer
          }
        })
      }
    }))
    "20-csi.yaml" = yamlencode(merge(local.chart, {
      metadata = { name = "hcloud-csi", namespace = "kube-system" }
      spec = {
        repo            = "https://charts.hetzner.cloud"
        chart           = "hcloud-csi"
        version         = var.charts.csi
        targetNamespace = "kube-system"
        # Who destroys the cluster finds its volumes by this.
        valuesContent = yamlencode({ controller = { volumeExtraLabels = { cluster = var.cluster_name } } })
      }
    }))
    "30-kured.yaml" = yamlencode(merge(local.chart, {
      metadata = { name = "kured", namespace = "kube-system" }
      spec = {
        repo            = "https://kubereboot.github.io/charts"
        chart           = "kured"
        version         = var.charts.kured
        targetNamespace = "kube-system"
        valuesContent = yamlencode({
          configuration = {
            rebootDays  = var.reboots.days
            startTime   = var.reboots.start
            endTime     = var.reboots.end
            timeZone    = "UTC"
            concurrency = 1
          }
          tolerations = [{ operator = "Exists" }] # control planes are updated too
        })
      }
    }))
  }
  chart = { apiVersion = "helm.cattle.io/v1", kind = "HelmChart" }
}
