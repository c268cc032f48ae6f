"""Presigned addresses as boto3 makes them without being told how, used by what knows no key."""

from __future__ import annotations

import os
import ssl
import urllib.error
import urllib.request
import uuid

import boto3

BUCKET = "boto3-presigned"
s3 = boto3.client("s3")
s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": os.environ["AWS_REGION"]})
trust = ssl.create_default_context(cafile=os.environ["AWS_CA_BUNDLE"])


def ask(method: str, url: str, body: bytes | None = None, **headers: str) -> bytes:
    request = urllib.request.Request(url, data=body, method=method, headers=headers)
    with urllib.request.urlopen(request, context=trust) as answer:
        return bytes(answer.read())


named = {"Bucket": BUCKET, "Key": "a b/ü+%.txt"}
ask("PUT", s3.generate_presigned_url("put_object", Params=named), b"put")
url = s3.generate_presigned_url("get_object", Params={**named, "ResponseContentType": "text/x-test"}, ExpiresIn=60)
assert ask("GET", url) == b"put"
try:
    ask("GET", url.replace("text%2Fx-test", "text%2Fhtml"))
except urllib.error.HTTPError as refused:
    assert refused.code == 403 and b"SignatureDoesNotMatch" in refused.read()
else:
    raise AssertionError("an address that was changed is served")

form = s3.generate_presigned_post(BUCKET, "form/${filename}", Conditions=[["content-length-range", 1, 10]])
border = uuid.uuid4().hex


def posted(file: bytes) -> bytes:
    fields = "".join(
        f'--{border}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
        for name, value in form["fields"].items()
    )
    last = f'--{border}\r\nContent-Disposition: form-data; name="file"; filename="f.txt"\r\n\r\n'
    return fields.encode() + last.encode() + file + f"\r\n--{border}--\r\n".encode()


multipart = {"Content-Type": f"multipart/form-data; boundary={border}"}
ask("POST", form["url"], posted(b"posted"), **multipart)
assert s3.get_object(Bucket=BUCKET, Key="form/f.txt")["Body"].read() == b"posted"
try:
    ask("POST", form["url"], posted(b"more than ten"), **multipart)
except urllib.error.HTTPError as refused:
    assert b"EntityTooLarge" in refused.read()
else:
    raise AssertionError("a form may send more than its policy says")
print("done")
