# The rules for the language alone: those for a provider are plug-ins, which tflint would have to download.
plugin "terraform" {
  enabled = true
  preset  = "all"
}
