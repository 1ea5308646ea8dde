"""Kubernetes: what deploy/k8s and deploy/helm render to, and whether a cluster would take it."""
