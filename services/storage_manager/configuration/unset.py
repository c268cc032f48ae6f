"""Topics nothing is done about here: what is asked for is refused with the reason, and "nothing is set" is answered.

A document that asks for nothing may be written: tools write one to be sure.
"""

from __future__ import annotations

from services.storage_manager.configuration.documents import Document
from services.storage_manager.errors import S3Error


def check_logging(document: Document) -> Document:
    """Raises S3Error NotImplemented."""
    if document.get("LoggingEnabled") is not None:
        why = "access logs are not delivered into buckets; the audit log of the cloud has every request"
        raise S3Error("NotImplemented", f"LoggingEnabled: {why}")
    return {}


def check_acceleration(document: Document) -> Document:
    """Raises S3Error MalformedXML, NotImplemented."""
    if document.get("Status") not in ("Enabled", "Suspended"):
        raise S3Error("MalformedXML", "Status is Enabled or Suspended")
    if document["Status"] == "Enabled":
        raise S3Error("NotImplemented", "Status: this cloud has one place, and no way to it that is faster")
    return document


def check_payment(document: Document) -> Document:
    """Raises S3Error MalformedXML, NotImplemented."""
    if document["Payer"] not in ("BucketOwner", "Requester"):
        raise S3Error("MalformedXML", "Payer is BucketOwner or Requester")
    if document["Payer"] == "Requester":
        raise S3Error("NotImplemented", "Payer: nobody is charged for requests here")
    return document


def check_replication(document: Document) -> Document:
    """Raises S3Error NotImplemented."""
    raise S3Error("NotImplemented", "buckets are not copied to other clouds; `aws s3 sync` does it from outside")
