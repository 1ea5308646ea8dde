# Hetzner's object storage; on AWS the first two lines are enough. Its keys come from AWS_ACCESS_KEY_ID and
# AWS_SECRET_ACCESS_KEY, the one that the state is encrypted with from AWS_SSE_CUSTOMER_KEY (openssl rand -base64 32).
bucket                      = "your-org-terraform"
region                      = "fsn1"
endpoints                   = { s3 = "https://fsn1.your-objectstorage.com" }
skip_credentials_validation = true
skip_metadata_api_check     = true
skip_region_validation      = true
skip_requesting_account_id  = true
skip_s3_checksum            = true
