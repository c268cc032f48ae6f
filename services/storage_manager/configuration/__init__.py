"""The configuration documents of buckets, and those of objects: what each may say, and what follows from it.

One module per topic: read by S3's model (`documents`), checked, kept as JSON, judged. All of that is pure; what is
stored where, and who asks, is the business of `handlers` and `authorization`.
"""
