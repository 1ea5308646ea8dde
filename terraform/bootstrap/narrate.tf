locals {
  # What was brought up, and an id that is the same for the same: told twice, it is stored once.
  told = { argo_cd = helm_release.argocd.version, root = sha256(helm_release.root.values[0]) }
  event = {
    id      = "bootstrap-${substr(sha256(jsonencode([var.context, local.told])), 0, 32)}"
    source  = "terraform"
    action  = "deploy.succeeded"
    subject = var.subject
    data    = local.told
  }
}

resource "terraform_data" "narration" {
  count            = var.narrate_url == "" ? 0 : 1
  triggers_replace = local.event

  provisioner "local-exec" {
    on_failure  = continue
    interpreter = ["bash", "-euc"]
    # The token goes by a file descriptor: what is on a command line, everyone on the machine may read.
    command = <<-E
      header() { if [ -n "$${COLLECTOR_TOKEN-}" ]; then printf 'Authorization: Bearer %s\n' "$COLLECTOR_TOKEN"; fi; }
      curl --silent --show-error --fail --output /dev/null --max-time 10 --retry 3 --retry-connrefused --retry-max-time 20 \
        --header 'Content-Type: application/json' --header @<(header) --data "$EVENT" "$URL/events"
    E
    environment = {
      URL   = var.narrate_url
      EVENT = jsonencode(local.event)
    }
  }
}
