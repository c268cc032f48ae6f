data "aws_caller_identity" "me" {}

resource "aws_kms_key" "own" {
  description             = "for secrets"
  deletion_window_in_days = 7
}

data "aws_iam_policy_document" "readers" {
  statement {
    sid       = "Read"
    actions   = var.changed ? ["secretsmanager:GetSecretValue", "secretsmanager:DescribeSecret"] : ["secretsmanager:GetSecretValue"]
    resources = ["*"]
    principals {
      type        = "AWS"
      identifiers = ["arn:aws:iam::${data.aws_caller_identity.me.account_id}:user/reader"]
    }
  }
}

resource "aws_secretsmanager_secret" "first" {
  name                    = "tf/first"
  description             = var.changed ? "changed" : "made by Terraform"
  kms_key_id              = var.changed ? aws_kms_key.own.arn : null
  policy                  = data.aws_iam_policy_document.readers.json
  recovery_window_in_days = 0
  tags                    = { stage = var.changed ? "live" : "test" }
}

resource "aws_secretsmanager_secret" "second" {
  name_prefix             = "tf-second-"
  recovery_window_in_days = 7
}

resource "aws_secretsmanager_secret_policy" "second" {
  secret_arn          = aws_secretsmanager_secret.second.arn
  policy              = data.aws_iam_policy_document.readers.json
  block_public_policy = true
}

resource "aws_secretsmanager_secret_version" "first" {
  secret_id     = aws_secretsmanager_secret.first.id
  secret_string = jsonencode({ password = var.changed ? "second" : "first" })
}

resource "aws_secretsmanager_secret_version" "second" {
  secret_id      = aws_secretsmanager_secret.second.id
  secret_binary  = base64encode("bytes")
  version_stages = ["MINE", "AWSCURRENT"]
}

data "aws_secretsmanager_secret_version" "first" {
  secret_id  = aws_secretsmanager_secret.first.id
  depends_on = [aws_secretsmanager_secret_version.first]
}

output "arn" {
  value = aws_secretsmanager_secret.first.arn
}

output "value" {
  value     = data.aws_secretsmanager_secret_version.first.secret_string
  sensitive = true
}

output "stages" {
  value = data.aws_secretsmanager_secret_version.first.version_stages
}
