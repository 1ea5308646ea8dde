"""Argo CD: what argocd/ comes to on each cluster, as Argo CD would make it of the files."""
