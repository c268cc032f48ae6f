# The major version of PostgreSQL that the machine has.
variable "major" {}

resource "aws_db_parameter_group" "tuned" {
  name        = "tf-tuned"
  family      = "postgres${var.major}"
  description = "made by Terraform"
  tags        = { stage = var.changed ? "live" : "test" }

  parameter {
    name  = "work_mem"
    value = var.changed ? "9216" : "8192"
  }

  parameter {
    name         = "max_connections"
    value        = "77"
    apply_method = "pending-reboot"
  }

  dynamic "parameter" {
    for_each = var.changed ? [] : ["on"]
    content {
      name  = "log_connections"
      value = "1"
    }
  }
}

resource "aws_db_instance" "orders" {
  identifier           = "tf-orders"
  engine               = "postgres"
  engine_version       = var.major
  instance_class       = var.changed ? "db.t3.small" : "db.t3.micro"
  allocated_storage    = var.changed ? 30 : 20
  name                 = "shop"
  username             = "owner"
  password             = var.changed ? "second-password" : "first-password"
  parameter_group_name = aws_db_parameter_group.tuned.name
  apply_immediately    = true
  skip_final_snapshot  = true
  deletion_protection  = !var.changed
  tags                 = { stage = var.changed ? "live" : "test" }
}

resource "aws_db_instance" "defaults" {
  identifier_prefix   = "tf-defaults-"
  engine              = "postgres"
  instance_class      = "db.t3.micro"
  allocated_storage   = 20
  username            = "owner"
  password            = "first-password"
  skip_final_snapshot = true
}

data "aws_db_instance" "orders" {
  db_instance_identifier = aws_db_instance.orders.id
}

data "aws_rds_engine_version" "known" {
  engine             = "postgres"
  preferred_versions = [var.major]
}

data "aws_rds_orderable_db_instance" "known" {
  engine                     = "postgres"
  preferred_instance_classes = ["db.t3.micro", "db.t3.small"]
}

output "arn" {
  value = aws_db_instance.orders.arn
}

output "endpoint" {
  value = aws_db_instance.orders.endpoint
}

output "seen" {
  value = data.aws_db_instance.orders.db_instance_class
}

output "family" {
  value = data.aws_rds_engine_version.known.parameter_group_family
}
