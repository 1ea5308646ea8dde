output "argocd" {
  description = "How to look at Argo CD from here, without publishing it."
  value       = "kubectl --kubeconfig ${var.kubeconfig} --context ${var.context} --namespace argocd port-forward service/argocd-server 8443:443"
}
