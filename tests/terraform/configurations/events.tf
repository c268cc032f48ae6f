# What happens: queues with dead letters, a topic, events and schedules that go into them.
data "aws_caller_identity" "me" {}

data "aws_iam_policy_document" "called" {
  statement {
    actions = ["sts:AssumeRole"]
    principals {
      type        = "Service"
      identifiers = ["events.amazonaws.com"]
    }
  }
}

data "aws_iam_policy_document" "sends" {
  statement {
    actions   = ["sqs:SendMessage"]
    resources = [aws_sqs_queue.orders.arn]
  }
}

resource "aws_iam_role" "events" {
  name               = "tf-events"
  assume_role_policy = data.aws_iam_policy_document.called.json
}

resource "aws_iam_role_policy" "events" {
  role   = aws_iam_role.events.id
  policy = data.aws_iam_policy_document.sends.json
}

resource "aws_sqs_queue" "failed" {
  name                      = "tf-failed"
  message_retention_seconds = 1209600
}

resource "aws_sqs_queue" "orders" {
  name                       = "tf-orders"
  visibility_timeout_seconds = var.changed ? 60 : 45
  receive_wait_time_seconds  = 20
  redrive_policy = jsonencode({
    deadLetterTargetArn = aws_sqs_queue.failed.arn
    maxReceiveCount     = var.changed ? 5 : 3
  })
  tags = { stage = var.changed ? "live" : "test" }
}

resource "aws_sqs_queue" "fifo" {
  name                        = "tf-orders.fifo"
  fifo_queue                  = true
  content_based_deduplication = var.changed
}

data "aws_iam_policy_document" "topic" {
  statement {
    actions   = ["sqs:SendMessage"]
    resources = [aws_sqs_queue.orders.arn]
    principals {
      type        = "Service"
      identifiers = ["sns.amazonaws.com"]
    }
    condition {
      test     = "ArnEquals"
      variable = "aws:SourceArn"
      values   = [aws_sns_topic.news.arn]
    }
  }
}

resource "aws_sqs_queue_policy" "orders" {
  queue_url = aws_sqs_queue.orders.id
  policy    = data.aws_iam_policy_document.topic.json
}

resource "aws_sns_topic" "news" {
  name         = "tf-news"
  display_name = var.changed ? "News" : "new"
  tags         = { stage = var.changed ? "live" : "test" }
}

resource "aws_sns_topic_subscription" "orders" {
  topic_arn            = aws_sns_topic.news.arn
  protocol             = "sqs"
  endpoint             = aws_sqs_queue.orders.arn
  raw_message_delivery = var.changed
  filter_policy        = jsonencode({ colour = var.changed ? ["red", "blue"] : ["red"] })
  redrive_policy       = jsonencode({ deadLetterTargetArn = aws_sqs_queue.failed.arn })
}

resource "aws_cloudwatch_event_bus" "shop" {
  name = "tf-shop"
}

resource "aws_cloudwatch_event_rule" "large" {
  name           = "tf-large"
  event_bus_name = aws_cloudwatch_event_bus.shop.name
  description    = var.changed ? "very large orders" : "large orders"
  event_pattern  = jsonencode({ source = ["shop"], detail = { total = [{ numeric = [">", var.changed ? 1000 : 100] }] } })
}

resource "aws_cloudwatch_event_target" "large" {
  rule           = aws_cloudwatch_event_rule.large.name
  event_bus_name = aws_cloudwatch_event_bus.shop.name
  target_id      = "queue"
  arn            = aws_sqs_queue.orders.arn
  role_arn       = aws_iam_role.events.arn
  input_transformer {
    input_paths    = { total = "$.detail.total" }
    input_template = "{\"total\": <total>}"
  }
}

resource "aws_cloudwatch_event_rule" "hourly" {
  name                = "tf-hourly"
  schedule_expression = "rate(1 hour)"
  is_enabled          = !var.changed
}

output "queue" {
  value = aws_sqs_queue.orders.id
}

output "topic" {
  value = aws_sns_topic.news.arn
}
