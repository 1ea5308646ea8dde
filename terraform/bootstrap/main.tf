locals {
  values = file(coalesce(var.values, "${path.module}/../../argocd/install/values.yaml"))
  root   = yamldecode(file(coalesce(var.root, "${path.module}/../../argocd/root.yaml")))

  # With it Argo CD deletes what an Application has made before it lets go of the Application.
  finalizers  = var.cascade ? ["resources-finalizer.argocd.argoproj.io"] : []
  application = merge(local.root, { metadata = merge(local.root.metadata, { finalizers = local.finalizers }) })
}

resource "helm_release" "argocd" {
  name             = "argocd"
  namespace        = "argocd"
  create_namespace = true
  repository       = "https://argoproj.github.io/argo-helm"
  chart            = "argo-cd"
  version          = var.chart_version
  values           = [local.values]
  atomic           = true
  max_history      = 5
  timeout          = 600
}

# A release of its own: its kind is only there once the release above has brought it. All else follows from git.
resource "helm_release" "root" {
  name        = "root"
  namespace   = helm_release.argocd.namespace
  chart       = "${path.module}/root"
  values      = [yamlencode({ application = local.application, storage = var.storage })]
  max_history = 5
  timeout     = 1800
}
