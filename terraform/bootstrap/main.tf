locals {
  folder = coalesce(var.argocd, "${path.module}/../../argocd")
  chart  = yamldecode(file("${local.folder}/hub/values.yaml")).argocd
  root   = yamldecode(file("${local.folder}/root.yaml"))
}

resource "helm_release" "argocd" {
  name             = "argocd"
  namespace        = "argocd"
  create_namespace = true
  repository       = local.chart.repo
  chart            = local.chart.chart
  version          = local.chart.version
  values           = [file("${local.folder}/install/values.yaml")]
  atomic           = true
  max_history      = 5
  timeout          = 600

  lifecycle {
    # From then on Argo CD keeps itself, from the same files: two would take turns.
    ignore_changes = [version, values]

    precondition {
      condition     = can(regex("^[0-9]+\\.[0-9]+\\.[0-9]+$", local.chart.version))
      error_message = "argocd/hub/values.yaml: a version such as 9.5.7; what is not pinned moves by itself."
    }
  }
}

# A release of its own: its kind is only there once the release above has brought it. All else follows from git.
resource "helm_release" "root" {
  name        = "root"
  namespace   = helm_release.argocd.namespace
  chart       = "${path.module}/root"
  values      = [yamlencode({ application = local.root, storage = var.storage })]
  max_history = 5
}
