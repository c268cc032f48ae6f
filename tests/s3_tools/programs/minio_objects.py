"""minio-py, with keys from AWS's variables."""

from __future__ import annotations

import io
import os
import urllib.request
from datetime import timedelta
from urllib.parse import urlsplit

from minio import Minio
from minio.commonconfig import ComposeSource, CopySource, Tags
from minio.credentials import EnvAWSProvider
from minio.deleteobjects import DeleteObject

BUCKET, LARGE = "minio-objects", os.urandom(1 << 20) * 12
client = Minio(
    urlsplit(os.environ["AWS_ENDPOINT_URL"]).netloc, credentials=EnvAWSProvider(), region=os.environ["AWS_REGION"]
)
client.make_bucket(BUCKET, location=os.environ["AWS_REGION"])
assert client.bucket_exists(BUCKET)
client.put_object(BUCKET, "small", io.BytesIO(b"small"), 5, metadata={"who": "ann"})
assert client.stat_object(BUCKET, "small").metadata["x-amz-meta-who"] == "ann"
client.put_object(BUCKET, "large", io.BytesIO(LARGE), -1, part_size=5 << 20)  # of a length that nobody knows
assert client.get_object(BUCKET, "large").read() == LARGE
client.copy_object(BUCKET, "copied", CopySource(BUCKET, "large"))
client.compose_object(BUCKET, "composed", [ComposeSource(BUCKET, "large"), ComposeSource(BUCKET, "small")])
assert client.get_object(BUCKET, "composed").read() == LARGE + b"small"
tags = Tags.new_object_tags()
tags["a"] = "b"
client.set_object_tags(BUCKET, "small", tags)
assert client.get_object_tags(BUCKET, "small") == tags
url = client.presigned_get_object(BUCKET, "small", expires=timedelta(minutes=1))
with urllib.request.urlopen(url) as answer:
    assert answer.read() == b"small"
names = [each.object_name for each in client.list_objects(BUCKET, recursive=True)]
assert names == ["composed", "copied", "large", "small"], names
assert not list(client.remove_objects(BUCKET, [DeleteObject(name) for name in names]))
client.remove_bucket(BUCKET)
print("done")
