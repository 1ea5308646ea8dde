mock_provider "helm" {}

variables {
  kubeconfig = "/nowhere/kubeconfig"
  context    = "collector"
  argocd     = "tests/fixtures/argocd"
}

run "argo_cd_and_the_root_application" {
  command = plan

  assert {
    condition     = helm_release.argocd.version == "1.2.3" && helm_release.argocd.repository == "https://charts.example.com" && helm_release.argocd.atomic
    error_message = "Argo CD of one version, whole or not at all."
  }

  assert {
    condition     = yamldecode(helm_release.root.values[0]).application.kind == "Application" && yamldecode(helm_release.root.values[0]).storage == ""
    error_message = "The root Application as it is in git."
  }

  assert {
    condition     = length(terraform_data.narration) == 0
    error_message = "Nobody is told unless there is an address."
  }
}

run "told_and_with_storage" {
  command = plan
  variables {
    storage     = "ebs"
    narrate_url = "https://collector.example.com"
  }

  assert {
    condition     = yamldecode(helm_release.root.values[0]).storage == "ebs" && length(terraform_data.narration) == 1
    error_message = "The StorageClass of EKS, and an event."
  }
}

run "refuses_what_is_open" {
  command = plan
  variables {
    kubeconfig  = ""
    context     = " "
    storage     = "nfs"
    narrate_url = "https://collector.example.com/events; rm -rf ."
  }
  expect_failures = [var.kubeconfig, var.context, var.storage, var.narrate_url]
}

run "refuses_a_range_of_versions" {
  command = plan
  variables {
    argocd = "tests/fixtures/unpinned"
  }
  expect_failures = [helm_release.argocd]
}
