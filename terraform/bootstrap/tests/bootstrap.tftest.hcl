mock_provider "helm" {}

variables {
  kubeconfig = "/nowhere/kubeconfig"
  context    = "collector"
  values     = "tests/fixtures/values.yaml"
  root       = "tests/fixtures/root.yaml"
}

run "argo_cd_and_the_root_application" {
  command = plan

  assert {
    condition     = helm_release.argocd.version == "9.4.17" && helm_release.argocd.repository == "https://argoproj.github.io/argo-helm" && helm_release.argocd.atomic
    error_message = "Argo CD of one version, whole or not at all."
  }

  assert {
    condition     = yamldecode(helm_release.root.values[0]).application.kind == "Application" && yamldecode(helm_release.root.values[0]).application.metadata.finalizers == [] && yamldecode(helm_release.root.values[0]).storage == ""
    error_message = "The root Application as it is in git: a destroy takes nothing along."
  }

  assert {
    condition     = length(terraform_data.narration) == 0
    error_message = "Nobody is told unless there is an address."
  }
}

run "told_cascading_and_with_storage" {
  command = plan
  variables {
    cascade     = true
    storage     = "ebs"
    narrate_url = "https://collector.example.com"
  }

  assert {
    condition     = yamldecode(helm_release.root.values[0]).application.metadata.finalizers[0] == "resources-finalizer.argocd.argoproj.io" && yamldecode(helm_release.root.values[0]).application.metadata.name == "root"
    error_message = "With cascade, what the root Application has made goes with it."
  }

  assert {
    condition     = yamldecode(helm_release.root.values[0]).storage == "ebs" && length(terraform_data.narration) == 1
    error_message = "The StorageClass of EKS, and an event."
  }
}

run "refuses_what_is_open" {
  command = plan
  variables {
    kubeconfig    = ""
    context       = " "
    chart_version = "latest"
    storage       = "nfs"
    narrate_url   = "https://collector.example.com/events; rm -rf ."
  }
  expect_failures = [var.kubeconfig, var.context, var.chart_version, var.storage, var.narrate_url]
}

run "refuses_a_range_of_versions" {
  command = plan
  variables {
    chart_version = "~> 9.4"
  }
  expect_failures = [var.chart_version]
}
