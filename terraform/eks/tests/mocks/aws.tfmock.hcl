# Without these a mock gives words of chance, which are no JSON, no account and no part of an ARN.
mock_data "aws_iam_policy_document" {
  defaults = { json = "{}" }
}

mock_data "aws_caller_identity" {
  defaults = { account_id = "123456789012" }
}

mock_data "aws_partition" {
  defaults = { partition = "aws" }
}
