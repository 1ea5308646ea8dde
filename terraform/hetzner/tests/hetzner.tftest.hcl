# The wiring, with Hetzner mocked: what is made of the module's servers, and what is refused before anything is made.
mock_provider "hcloud" {
  mock_resource "hcloud_network" {
    defaults = { id = "1" }
  }
  mock_resource "hcloud_network_subnet" {
    defaults = { id = "1-10.0.1.0/24" }
  }
  mock_resource "hcloud_firewall" {
    defaults = { id = "2" }
  }
  mock_resource "hcloud_placement_group" {
    defaults = { id = "3" }
  }
  mock_resource "hcloud_ssh_key" {
    defaults = { id = "4" }
  }
  mock_resource "hcloud_server" {
    defaults = { id = "5", ipv4_address = "192.0.2.5", ipv6_address = "2001:db8::5" }
  }
  mock_resource "hcloud_load_balancer" {
    defaults = { id = "6", ipv4 = "192.0.2.6", ipv6 = "2001:db8::6" }
  }
}

variables {
  hcloud_token   = "ours"
  cluster_token  = "the cluster's"
  cluster_name   = "prod"
  k3s_version    = "v1.35.5+k3s1"
  control_planes = { count = 3, server_type = "cx33" }
  workers        = { general = { count = 2, server_type = "cx43", block = 1 } }
  admin_cidrs    = ["192.0.2.7/32"]
  ssh_keys       = { ops = "ssh-ed25519 AAAA ops@example.com" }
  k3s_token      = "0123456789abcdef0123456789abcdef"
  snapshots      = { endpoint = "fsn1.your-objectstorage.com", region = "fsn1", bucket = "etcd", access_key = "key", secret_key = "secret" }
  load_balancer  = {}
}

run "three_control_planes_behind_a_balancer" {
  command = apply

  assert {
    condition     = { for name, server in hcloud_server.node : name => one(server.network).ip } == { for name, server in module.k3s.servers : name => server.address }
    error_message = "A server has not the address that k3s was told."
  }
  assert {
    condition     = alltrue([for name, server in hcloud_server.node : server.name == name && contains(server.firewall_ids, 2) && server.placement_group_id == 3])
    error_message = "A server is called otherwise, or has no firewall, or is not spread."
  }
  assert {
    condition     = toset([for group in hcloud_placement_group.spread : "${group.name} ${group.type}"]) == toset(["prod-cp spread", "prod-general spread"])
    error_message = "Control planes and each pool are spread over hosts."
  }
  assert {
    condition     = keys(hcloud_load_balancer_target.node) == ["prod-general-1", "prod-general-2"] && alltrue([for target in hcloud_load_balancer_target.node : target.use_private_ip])
    error_message = "The balancer goes to the workers, through the private network."
  }
  assert {
    condition     = toset([for service in hcloud_load_balancer_service.public : service.listen_port]) == toset([80, 443])
    error_message = "The balancer serves HTTP and HTTPS, and never the Kubernetes API."
  }
  assert {
    condition     = alltrue([for rule in hcloud_firewall.nodes.rule : rule.protocol == "icmp" || rule.source_ips == toset(["192.0.2.7/32"])])
    error_message = "The world reaches a server's port."
  }
  assert {
    condition     = strcontains(output.kubeconfig, "root@192.0.2.5") && join(" ", output.public_addresses.ipv4) == "192.0.2.6"
    error_message = "Outputs name other addresses."
  }
}

run "one_server_has_no_balancer" {
  command = apply
  variables {
    control_planes = { count = 1, server_type = "cx33" }
    workers        = {}
    load_balancer  = null
  }

  assert {
    condition     = length(hcloud_load_balancer.public) == 0 && join(" ", output.public_addresses.ipv4) == "192.0.2.5"
    error_message = "DNS points to the server itself."
  }
  assert {
    condition     = toset([for rule in hcloud_firewall.nodes.rule : rule.port if contains(rule.source_ips, "0.0.0.0/0") && rule.protocol == "tcp"]) == toset(["80", "443"])
    error_message = "The world reaches HTTP and HTTPS, and nothing else."
  }
}

run "refuses_another_zone" {
  command = plan
  variables {
    location = "ash"
  }
  expect_failures = [var.location]
}

run "refuses_nobodys_key" {
  command = plan
  variables {
    ssh_keys = {}
  }
  expect_failures = [var.ssh_keys]
}
