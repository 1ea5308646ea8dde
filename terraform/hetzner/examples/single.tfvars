# One server, for about fifteen dollars a month: room for the collector with its embedded database. A cx33 has room for
# the platform of argocd/ too. It is everything: when it is away, so is the cluster.
cluster_name   = "staging"
k3s_version    = "v1.35.5+k3s1"
control_planes = { count = 1, server_type = "cx23" }
admin_cidrs    = ["192.0.2.7/32"]
ssh_keys       = { ops = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIExampleExampleExampleExampleExampleExampleEx ops@example.com" }
