# Who there is and what they are told, and every rule broken once: a plan has to refuse.
variables {
  cluster_name   = "prod"
  k3s_version    = "v1.35.5+k3s1"
  control_planes = { count = 3, server_type = "cx33" }
  workers        = { general = { count = 2, server_type = "cx43", block = 1 } }
  admin_cidrs    = ["192.0.2.7/32", "2001:db8::/64"]
  token          = "0123456789abcdef0123456789abcdef"
  snapshots      = { endpoint = "fsn1.your-objectstorage.com", region = "fsn1", bucket = "etcd", access_key = "key", secret_key = "secret" }
  cloud          = { token = "token", network = "prod" }
}

run "three_control_planes_and_two_workers" {
  command = apply

  assert {
    condition = { for name, server in output.servers : name => server.address } == {
      prod-cp-1 = "10.0.1.10", prod-cp-2 = "10.0.1.11", prod-cp-3 = "10.0.1.12", prod-general-1 = "10.0.1.20", prod-general-2 = "10.0.1.21"
    }
    error_message = "Names and addresses are other ones."
  }
  assert {
    condition     = [for name, server in output.servers : name if server.founds] == ["prod-cp-1"]
    error_message = "One control plane, the first, founds the cluster."
  }
  assert {
    condition     = keys(output.manifests) == ["00-cloud.yaml", "10-ccm.yaml", "20-csi.yaml", "30-kured.yaml"]
    error_message = "The cloud's controller comes first, then volumes, then the rest."
  }
  assert {
    condition     = length([for rule in output.firewall : rule if rule.protocol == "tcp" && contains(rule.source_ips, "0.0.0.0/0")]) == 0
    error_message = "The world reaches a port."
  }
}

run "one_server_is_the_same_with_other_numbers" {
  command = apply
  variables {
    control_planes = { count = 1, server_type = "cx33" }
    workers        = {}
    public_ports   = [80, 443]
  }

  assert {
    condition     = keys(output.servers) == ["prod-cp-1"]
    error_message = "There is one server."
  }
  assert {
    condition     = yamldecode(yamlencode(output.config))["prod-cp-1"]["node-taint"] == []
    error_message = "The only server has to take what is deployed."
  }
  assert {
    condition     = [for rule in output.firewall : rule.port if rule.description == "Public"] == ["80", "443"]
    error_message = "The world does not reach HTTP and HTTPS."
  }
}

run "another_pool_moves_nobody" {
  command = apply
  variables {
    workers = {
      batch   = { count = 1, server_type = "cx23", block = 2 }
      general = { count = 3, server_type = "cx43", block = 1 }
    }
  }

  assert {
    condition     = output.servers["prod-general-1"].address == "10.0.1.20" && output.servers["prod-batch-1"].address == "10.0.1.30"
    error_message = "A pool's addresses are its block's."
  }
}

run "the_founder_can_be_another" {
  command = apply
  variables {
    founder = 2
  }

  assert {
    condition     = output.servers["prod-cp-2"].founds && !output.servers["prod-cp-1"].founds
    error_message = "Number 2 founds."
  }
}

run "refuses_even_numbers" {
  command = plan
  variables {
    control_planes = { count = 2, server_type = "cx33" }
  }
  expect_failures = [var.control_planes]
}

run "refuses_more_than_five" {
  command = plan
  variables {
    control_planes = { count = 7, server_type = "cx33" }
  }
  expect_failures = [var.control_planes]
}

run "refuses_a_founder_that_is_none" {
  command = plan
  variables {
    founder = 4
  }
  expect_failures = [var.founder]
}

run "refuses_the_whole_world" {
  command = plan
  variables {
    admin_cidrs = ["192.0.2.7/32", "0.0.0.0/0"]
  }
  expect_failures = [var.admin_cidrs]
}

run "refuses_the_whole_world_by_ipv6" {
  command = plan
  variables {
    admin_cidrs = ["::/0"]
  }
  expect_failures = [var.admin_cidrs]
}

run "refuses_the_world_in_two_halves" {
  command = plan
  variables {
    admin_cidrs = ["0.0.0.0/1", "128.0.0.0/1"]
  }
  expect_failures = [var.admin_cidrs]
}

run "refuses_what_is_no_range" {
  command = plan
  variables {
    admin_cidrs = ["office"]
  }
  expect_failures = [var.admin_cidrs]
}

run "refuses_nobody" {
  command = plan
  variables {
    admin_cidrs = []
  }
  expect_failures = [var.admin_cidrs]
}

run "refuses_a_channel" {
  command = plan
  variables {
    k3s_version = "stable"
  }
  expect_failures = [var.k3s_version]
}

run "refuses_a_version_without_its_build" {
  command = plan
  variables {
    k3s_version = "v1.35"
  }
  expect_failures = [var.k3s_version]
}

run "refuses_a_range_of_charts" {
  command = plan
  variables {
    charts = { ccm = "1.x" }
  }
  expect_failures = [var.charts]
}

run "refuses_a_small_subnet" {
  command = plan
  variables {
    network = { subnet = "10.0.1.0/28" }
  }
  expect_failures = [var.network]
}

run "refuses_a_subnet_of_elsewhere" {
  command = plan
  variables {
    network = { subnet = "10.1.1.0/24" }
  }
  expect_failures = [var.network]
}

run "refuses_few_pods" {
  command = plan
  variables {
    pod_cidr = "10.42.0.0/24"
  }
  expect_failures = [var.pod_cidr]
}

run "refuses_pods_among_servers" {
  command = plan
  variables {
    pod_cidr = "10.0.0.0/12"
  }
  expect_failures = [var.pod_cidr]
}

run "refuses_services_among_pods" {
  command = plan
  variables {
    service_cidr = "10.42.128.0/17"
  }
  expect_failures = [var.service_cidr]
}

run "refuses_few_services" {
  command = plan
  variables {
    service_cidr = "10.43.0.0/26"
  }
  expect_failures = [var.service_cidr]
}

run "refuses_two_pools_in_one_block" {
  command = plan
  variables {
    workers = {
      batch   = { count = 1, server_type = "cx23", block = 1 }
      general = { count = 1, server_type = "cx43", block = 1 }
    }
  }
  expect_failures = [var.workers]
}

run "refuses_a_pool_above_its_block" {
  command = plan
  variables {
    workers = { general = { count = 11, server_type = "cx43", block = 1 } }
  }
  expect_failures = [var.workers]
}

run "refuses_a_short_token" {
  command = plan
  variables {
    token = "secret"
  }
  expect_failures = [var.token]
}

run "refuses_an_endpoint_with_a_scheme" {
  command = plan
  variables {
    snapshots = { endpoint = "https://fsn1.your-objectstorage.com", region = "fsn1", bucket = "etcd", access_key = "key", secret_key = "secret" }
  }
  expect_failures = [var.snapshots]
}

run "refuses_snapshots_without_credentials" {
  command = plan
  variables {
    snapshots = { endpoint = "fsn1.your-objectstorage.com", region = "fsn1", bucket = "etcd", access_key = "", secret_key = "" }
  }
  expect_failures = [var.snapshots]
}

run "refuses_other_public_ports" {
  command = plan
  variables {
    public_ports = [6443]
  }
  expect_failures = [var.public_ports]
}

run "refuses_more_than_hetzner_takes" {
  command = plan
  variables {
    api_names = [for number in range(1000) : "kubernetes-api-${number}.example.com"]
  }
  expect_failures = [output.user_data]
}

run "refuses_a_name_that_is_no_host" {
  command = plan
  variables {
    cluster_name = "Prod_1"
  }
  expect_failures = [var.cluster_name]
}
