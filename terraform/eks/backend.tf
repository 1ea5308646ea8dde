terraform {
  # Bucket, key and region are given at init, see README.md. Two runs at once are kept apart by a file in the bucket.
  backend "s3" {
    use_lockfile = true
    encrypt      = true
  }
}
