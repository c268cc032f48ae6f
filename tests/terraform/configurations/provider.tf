# The provider as a cloud of ours wants it: one address for all services, and nothing asked of a machine of Amazon's.
terraform {
  required_providers {
    aws = {
      source  = "mirror.test/hashicorp/aws"
      version = "3.39.0"
    }
  }
}

variable "endpoint" {}

# What a second apply changes.
variable "changed" {
  default = false
}

provider "aws" {
  region                   = "eu-central-1"
  s3_force_path_style      = true
  skip_metadata_api_check  = true
  skip_get_ec2_platforms   = true
  skip_region_validation   = true
  endpoints {
    cloudwatchevents = var.endpoint
    iam            = var.endpoint
    kms            = var.endpoint
    rds            = var.endpoint
    s3             = var.endpoint
    secretsmanager = var.endpoint
    sns            = var.endpoint
    sqs            = var.endpoint
    sts            = var.endpoint
  }
}
