# The rules for the language alone: those for a provider are plug-ins, which tflint would have to download.
plugin "terraform" {
  enabled = true
  preset  = "all"
}

# A file is called by what is in it, not main.tf.
rule "terraform_standard_module_structure" {
  enabled = false
}
