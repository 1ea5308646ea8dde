# Three control planes, three workers behind a load balancer: any server may go.
cluster_name   = "production"
k3s_version    = "v1.35.5+k3s1"
control_planes = { count = 3, server_type = "cx33" }
workers        = { general = { count = 3, server_type = "cx43", block = 1 } }
load_balancer  = { type = "lb11" }
admin_cidrs    = ["192.0.2.7/32", "2001:db8:7::/48"]
ssh_keys       = { ops = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIExampleExampleExampleExampleExampleExampleEx ops@example.com" }
