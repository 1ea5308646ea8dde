output "cluster" {
  description = "What a kubeconfig needs."
  value = {
    name     = aws_eks_cluster.this.name
    region   = var.region
    endpoint = aws_eks_cluster.this.endpoint
    ca       = aws_eks_cluster.this.certificate_authority[0].data
  }
}

output "kubeconfig" {
  description = "The command that writes a kubeconfig."
  value       = "aws eks update-kubeconfig --region ${var.region} --name ${aws_eks_cluster.this.name}"
}

output "addresses" {
  description = "From which addresses the cluster's pods reach the world: what others let in."
  value       = [for address in aws_eip.nat : address.public_ip]
}

output "backups" {
  description = "For the ObjectStore of each database: where its backups go. Credentials come by its service account."
  value       = { for folder, account in var.databases : folder => "s3://${aws_s3_bucket.backups.id}/${folder}" }
}
