# Encryption is said, as AWS has it for every bucket since 2023: this version of the provider would else take it away.
resource "aws_s3_bucket" "assets" {
  bucket        = "tf-assets"
  force_destroy = true
  tags          = { stage = var.changed ? "live" : "test" }

  versioning {
    enabled = true
  }

  lifecycle_rule {
    id      = "old"
    enabled = true
    prefix  = "tmp/"
    expiration {
      days = var.changed ? 10 : 5
    }
    noncurrent_version_expiration {
      days = 3
    }
  }

  cors_rule {
    allowed_methods = ["GET", "PUT"]
    allowed_origins = ["https://app.example.com"]
    allowed_headers = ["*"]
    max_age_seconds = 300
  }

  server_side_encryption_configuration {
    rule {
      apply_server_side_encryption_by_default {
        sse_algorithm = "AES256"
      }
    }
  }
}

resource "aws_s3_bucket_public_access_block" "assets" {
  bucket                  = aws_s3_bucket.assets.id
  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = var.changed
  restrict_public_buckets = true
}

resource "aws_s3_bucket_ownership_controls" "assets" {
  bucket = aws_s3_bucket.assets.id
  rule {
    object_ownership = "BucketOwnerPreferred"
  }
  depends_on = [aws_s3_bucket_public_access_block.assets]
}

resource "aws_s3_bucket_policy" "assets" {
  bucket = aws_s3_bucket.assets.id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid       = var.changed ? "Read" : "Get"
      Effect    = "Allow"
      Principal = { AWS = "arn:aws:iam::000000000000:root" }
      Action    = "s3:GetObject"
      Resource  = "${aws_s3_bucket.assets.arn}/*"
    }]
  })
  depends_on = [aws_s3_bucket_ownership_controls.assets]
}

resource "aws_s3_bucket_object" "index" {
  bucket       = aws_s3_bucket.assets.id
  key          = "index.html"
  content      = var.changed ? "<p>new</p>" : "<p>old</p>"
  content_type = "text/html"
  metadata     = { made = "here" }
  tags         = { stage = "test" }
}

resource "aws_s3_bucket" "locked" {
  bucket = "tf-locked"

  server_side_encryption_configuration {
    rule {
      apply_server_side_encryption_by_default {
        sse_algorithm = "AES256"
      }
    }
  }

  object_lock_configuration {
    object_lock_enabled = "Enabled"
    rule {
      default_retention {
        mode = "GOVERNANCE"
        days = var.changed ? 2 : 1
      }
    }
  }
}

data "aws_s3_bucket_object" "index" {
  bucket = aws_s3_bucket.assets.id
  key    = aws_s3_bucket_object.index.key
}

output "body" {
  value = data.aws_s3_bucket_object.index.body
}
