data "aws_caller_identity" "me" {}

data "aws_iam_policy_document" "read" {
  statement {
    sid       = "Read"
    actions   = var.changed ? ["s3:GetObject", "s3:GetObjectTagging"] : ["s3:GetObject"]
    resources = ["arn:aws:s3:::assets/*"]

    condition {
      test     = "StringEquals"
      variable = "aws:RequestedRegion"
      values   = ["eu-central-1", "us-east-1"]
    }
  }
}

data "aws_iam_policy_document" "trust" {
  statement {
    actions = ["sts:AssumeRole"]
    principals {
      type        = "AWS"
      identifiers = [aws_iam_user.first.arn]
    }
    principals {
      type        = "Service"
      identifiers = var.changed ? ["ec2.amazonaws.com", "lambda.amazonaws.com"] : ["ec2.amazonaws.com"]
    }
  }
}

resource "aws_iam_policy" "read" {
  name        = "assets-read"
  path        = "/team/"
  description = "Reads assets"
  policy      = data.aws_iam_policy_document.read.json
  tags        = { stage = var.changed ? "live" : "test" }
}

resource "aws_iam_policy" "boundary" {
  name   = "boundary"
  policy = data.aws_iam_policy_document.read.json
}

resource "aws_iam_user" "first" {
  name                 = "tf-first"
  path                 = var.changed ? "/team/b/" : "/team/a/"
  permissions_boundary = var.changed ? null : aws_iam_policy.boundary.arn
  force_destroy        = true
  tags                 = { role = var.changed ? "lead" : "member" }
}

resource "aws_iam_user" "second" {
  name = "tf-second"
}

resource "aws_iam_access_key" "first" {
  user   = aws_iam_user.first.name
  status = var.changed ? "Inactive" : "Active"
}

resource "aws_iam_user_policy" "first" {
  name   = "inline"
  user   = aws_iam_user.first.name
  policy = data.aws_iam_policy_document.read.json
}

resource "aws_iam_user_policy_attachment" "first" {
  user       = aws_iam_user.first.name
  policy_arn = aws_iam_policy.read.arn
}

resource "aws_iam_user_ssh_key" "first" {
  username   = aws_iam_user.first.name
  encoding   = "SSH"
  public_key = "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAABAQCNiQDaccr8wGTCWPwe9aLHL+N+Y7w29mEPPfxG7nHRmXLVzq2lw0ZHuZ4WKvzvDf60FPiWsISOBt0TWp8leh0XFfSrYOg8JhgAyJMOjQTzEVjpHAAPanVVs07/0nwuzAswJTPFqxItUgN+aYDWVhvIdiSzPVSvlPAcffxrhogW3JGhBUs82EhcCymT/wJR2lioMrIKHiy1PThFz4jKWUaeE6Q2wdKSmCFhUMUVf8nINvCUUTCjphcgWnl9Z/pnS/ww1nyz09y59aj5Q/OzGlNqTbPft2Us8Fo3ueEI7bpnk+dTz1PgdJkpHd06aFMcnMsC5zagjr4OhsqasCSqsY7b ann@example.com"
  status     = var.changed ? "Inactive" : "Active"
}

resource "aws_iam_group" "staff" {
  name = "tf-staff"
  path = var.changed ? "/team/a/" : "/team/"
}

resource "aws_iam_group_policy" "staff" {
  name   = "inline"
  group  = aws_iam_group.staff.name
  policy = data.aws_iam_policy_document.read.json
}

resource "aws_iam_group_policy_attachment" "staff" {
  group      = aws_iam_group.staff.name
  policy_arn = "arn:aws:iam::aws:policy/ReadOnlyAccess"
}

resource "aws_iam_group_membership" "staff" {
  name  = "staff"
  group = aws_iam_group.staff.name
  users = var.changed ? [aws_iam_user.first.name] : [aws_iam_user.first.name, aws_iam_user.second.name]
}

resource "aws_iam_group" "readers" {
  name = "tf-readers"
}

resource "aws_iam_user_group_membership" "second" {
  user   = aws_iam_user.second.name
  groups = [aws_iam_group.readers.name]
}

resource "aws_iam_role" "app" {
  name                 = "tf-app"
  path                 = "/service/"
  description          = var.changed ? "Runs it" : "Runs the app"
  assume_role_policy   = data.aws_iam_policy_document.trust.json
  max_session_duration = var.changed ? 7200 : 3600
  permissions_boundary = aws_iam_policy.boundary.arn
  tags                 = { stage = var.changed ? "live" : "test" }
}

resource "aws_iam_role" "nested" {
  name                = "tf-nested"
  assume_role_policy  = data.aws_iam_policy_document.trust.json
  managed_policy_arns = [aws_iam_policy.read.arn]
  inline_policy {
    name   = "own"
    policy = data.aws_iam_policy_document.read.json
  }
}

resource "aws_iam_role_policy" "app" {
  name   = "inline"
  role   = aws_iam_role.app.id
  policy = data.aws_iam_policy_document.read.json
}

resource "aws_iam_role_policy_attachment" "app" {
  role       = aws_iam_role.app.name
  policy_arn = var.changed ? "arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess" : aws_iam_policy.read.arn
}

resource "aws_iam_policy" "shared" {
  name   = "shared"
  policy = data.aws_iam_policy_document.read.json
}

resource "aws_iam_policy_attachment" "shared" {
  name       = "shared"
  users      = [aws_iam_user.second.name]
  roles      = [aws_iam_role.app.name]
  groups     = var.changed ? [] : [aws_iam_group.readers.name]
  policy_arn = aws_iam_policy.shared.arn
}

resource "aws_iam_instance_profile" "app" {
  name = "tf-app"
  role = var.changed ? aws_iam_role.nested.name : aws_iam_role.app.name
  tags = { stage = var.changed ? "live" : "test" }
}

resource "aws_iam_service_linked_role" "batch" {
  aws_service_name = "batch.amazonaws.com"
  description      = var.changed ? "Batches" : "Jobs"
}

resource "aws_iam_openid_connect_provider" "issuer" {
  url             = "https://issuer.example.com"
  client_id_list  = ["app"]
  thumbprint_list = [var.changed ? "cf23df2207d99a74fbe169e3eba035e633b65d94" : "9e99a48a9960b14926bb7f3b02e22da2b0ab7280"]
  tags            = { stage = var.changed ? "live" : "test" }
}

resource "aws_iam_account_alias" "account" {
  account_alias = var.changed ? "tf-other-cloud" : "tf-cloud"
}

resource "aws_iam_account_password_policy" "account" {
  minimum_password_length        = var.changed ? 20 : 14
  require_lowercase_characters   = true
  require_numbers                = true
  require_uppercase_characters   = true
  require_symbols                = true
  allow_users_to_change_password = true
  max_password_age               = 90
  password_reuse_prevention      = 5
}

data "aws_iam_user" "first" {
  user_name = aws_iam_user.first.name
}

data "aws_iam_group" "readers" {
  group_name = aws_iam_group.readers.name
  depends_on = [aws_iam_user_group_membership.second]
}

data "aws_iam_role" "app" {
  name = aws_iam_role.app.name
}

data "aws_iam_policy" "read" {
  arn = aws_iam_policy.read.arn
}

data "aws_iam_instance_profile" "app" {
  name = aws_iam_instance_profile.app.name
}

data "aws_iam_account_alias" "account" {
  depends_on = [aws_iam_account_alias.account]
}

output "account" {
  value = data.aws_caller_identity.me.account_id
}

output "first" {
  value = data.aws_iam_user.first.arn
}

output "alias" {
  value = data.aws_iam_account_alias.account.account_alias
}
