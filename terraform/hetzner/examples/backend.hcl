# Hetzner's object storage; its keys come from AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY. On AWS: bucket, region and encrypt = true.
bucket                      = "your-org-terraform"
region                      = "fsn1"
endpoints                   = { s3 = "https://fsn1.your-objectstorage.com" }
skip_credentials_validation = true
skip_metadata_api_check     = true
skip_region_validation      = true
skip_requesting_account_id  = true
skip_s3_checksum            = true
