"""Every IAM operation iam_manager answers: what these classes declare."""
