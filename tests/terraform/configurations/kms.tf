resource "aws_kms_key" "data" {
  description             = var.changed ? "Data of the app" : "Data"
  deletion_window_in_days = 7
  enable_key_rotation     = !var.changed
  is_enabled              = true
  tags                    = { stage = var.changed ? "live" : "test" }
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid       = var.changed ? "Account" : "Root"
        Effect    = "Allow"
        Principal = { AWS = "arn:aws:iam::${data.aws_caller_identity.kms.account_id}:root" }
        Action    = "kms:*"
        Resource  = "*"
      },
    ]
  })
}

data "aws_caller_identity" "kms" {}

resource "aws_kms_key" "signing" {
  description              = "Signs"
  customer_master_key_spec = "ECC_NIST_P256"
  key_usage                = "SIGN_VERIFY"
  deletion_window_in_days  = 7
  is_enabled               = !var.changed
}

resource "aws_kms_alias" "data" {
  name          = "alias/tf/data"
  target_key_id = var.changed ? aws_kms_key.other.key_id : aws_kms_key.data.key_id
}

resource "aws_kms_key" "other" {
  deletion_window_in_days = 30
}

resource "aws_kms_alias" "generated" {
  name_prefix   = "alias/tf-"
  target_key_id = aws_kms_key.data.arn
}

resource "aws_iam_role" "grantee" {
  name = "tf-grantee"
  assume_role_policy = jsonencode({
    Version   = "2012-10-17"
    Statement = [{ Effect = "Allow", Action = "sts:AssumeRole", Principal = { Service = "ec2.amazonaws.com" } }]
  })
}

resource "aws_kms_grant" "app" {
  name              = "app"
  key_id            = aws_kms_key.data.key_id
  grantee_principal = aws_iam_role.grantee.arn
  operations        = var.changed ? ["Encrypt", "Decrypt", "DescribeKey"] : ["Encrypt", "Decrypt"]
  constraints {
    encryption_context_equals = { stage = "test" }
  }
}

resource "aws_kms_ciphertext" "secret" {
  key_id    = aws_kms_key.data.key_id
  plaintext = "my secret"
  context   = { stage = "test" }
}

resource "aws_kms_external_key" "imported" {
  description             = var.changed ? "Imported" : "Brought along"
  key_material_base64     = "Wblj06fduthWggmsT0cLVoIMOkeLbc2kVfMud77i/JY="
  deletion_window_in_days = 7
  tags                    = { stage = var.changed ? "live" : "test" }
}

data "aws_kms_key" "data" {
  key_id = aws_kms_key.data.key_id
}

data "aws_kms_alias" "data" {
  name = aws_kms_alias.data.name
}

data "aws_kms_secrets" "opened" {
  secret {
    name    = "first"
    payload = aws_kms_ciphertext.secret.ciphertext_blob
    context = { stage = "test" }
  }
}

output "opened" {
  value     = data.aws_kms_secrets.opened.plaintext["first"]
  sensitive = true
}

output "alias_target" {
  value = data.aws_kms_alias.data.target_key_id
}
