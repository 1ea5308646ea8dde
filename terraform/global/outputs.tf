output "order" {
  description = "In which order regions are asked where none serves that part of the world."
  value       = local.order
}

output "steering" {
  description = "By part of the world, in which order regions are asked."
  value       = local.steering
}
