"""boto3's transfers: 64 MiB in parts, with each checksum there is, whole files and ranges of them."""

from __future__ import annotations

import io
import os

import boto3
from boto3.s3.transfer import TransferConfig

BUCKET, PART = "boto3-transfer", 16 << 20
s3 = boto3.client("s3")
s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": os.environ["AWS_REGION"]})
body = os.urandom(1 << 20) * 64
# None: what boto3 does without being told.
for algorithm in (None, "CRC32", "CRC32C", "CRC64NVME", "SHA256"):
    key = f"{algorithm}.bin"
    extra = {} if algorithm is None else {"ChecksumAlgorithm": algorithm}
    s3.upload_fileobj(io.BytesIO(body), BUCKET, key, ExtraArgs=extra, Config=TransferConfig(multipart_chunksize=PART))
    head = s3.head_object(Bucket=BUCKET, Key=key, ChecksumMode="ENABLED")
    assert head["ContentLength"] == len(body) and head["ETag"].endswith('-4"'), head
    assert f"Checksum{algorithm or 'CRC32'}" in head, head
    fetched = io.BytesIO()
    s3.download_fileobj(BUCKET, key, fetched, Config=TransferConfig(multipart_chunksize=PART))
    assert fetched.getvalue() == body
    part = s3.get_object(Bucket=BUCKET, Key=key, PartNumber=2)
    assert part["PartsCount"] == 4 and part["Body"].read() == body[PART : 2 * PART]

# A checksum of the whole, computed by whoever sends the parts.
for algorithm in ("CRC32", "CRC32C", "CRC64NVME"):
    key = f"whole-{algorithm}"
    begun = s3.create_multipart_upload(
        Bucket=BUCKET, Key=key, ChecksumAlgorithm=algorithm, ChecksumType="FULL_OBJECT"
    )
    upload = {"Bucket": BUCKET, "Key": key, "UploadId": begun["UploadId"]}
    parts = []
    for number in (1, 2, 3, 4):
        sent = s3.upload_part(
            **upload, PartNumber=number, Body=body[(number - 1) * PART : number * PART], ChecksumAlgorithm=algorithm
        )
        parts.append(
            {"PartNumber": number, "ETag": sent["ETag"], f"Checksum{algorithm}": sent[f"Checksum{algorithm}"]}
        )
    one = s3.put_object(Bucket=BUCKET, Key="one", Body=body, ChecksumAlgorithm=algorithm)[f"Checksum{algorithm}"]
    made = s3.complete_multipart_upload(
        **upload, MultipartUpload={"Parts": parts}, ChecksumType="FULL_OBJECT", **{f"Checksum{algorithm}": one}
    )
    assert made[f"Checksum{algorithm}"] == one and made["ChecksumType"] == "FULL_OBJECT", made

s3.copy(
    {"Bucket": BUCKET, "Key": "one"},
    BUCKET,
    "copied",
    Config=TransferConfig(multipart_threshold=PART, multipart_chunksize=PART),
)
assert s3.get_object(Bucket=BUCKET, Key="copied")["Body"].read() == body
print("done")
