"""The query protocol of services whose models have forgotten it: what lists and maps were called in forms and XML.

SQS speaks json today; clients that knew it before still send forms, and their URL is the queue's own. Source: Amazon
SQS API reference, "Making Query API requests"; botocore's model of SQS until 1.31.80.
"""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace

from services.sdk.aws.model import ServiceModel

# By the shape of a list: what each of its elements is called.
_SQS_LISTS = {
    "AWSAccountIdList": "AWSAccountId",
    "ActionNameList": "ActionName",
    "AttributeNameList": "AttributeName",
    "BatchResultErrorEntryList": "BatchResultErrorEntry",
    "BinaryList": "BinaryListValue",
    "ChangeMessageVisibilityBatchRequestEntryList": "ChangeMessageVisibilityBatchRequestEntry",
    "ChangeMessageVisibilityBatchResultEntryList": "ChangeMessageVisibilityBatchResultEntry",
    "DeleteMessageBatchRequestEntryList": "DeleteMessageBatchRequestEntry",
    "DeleteMessageBatchResultEntryList": "DeleteMessageBatchResultEntry",
    "ListMessageMoveTasksResultEntryList": "ListMessageMoveTasksResultEntry",
    "MessageAttributeNameList": "MessageAttributeName",
    "MessageList": "Message",
    "MessageSystemAttributeList": "MessageSystemAttributeName",
    "QueueUrlList": "QueueUrl",
    "SendMessageBatchRequestEntryList": "SendMessageBatchRequestEntry",
    "SendMessageBatchResultEntryList": "SendMessageBatchResultEntry",
    "StringList": "StringListValue",
    "TagKeyList": "TagKey",
}
# By the shape of a map: what an entry is called, its key, and its value.
_SQS_MAPS = {
    "MessageBodyAttributeMap": ("MessageAttribute", "Name", "Value"),
    "MessageBodySystemAttributeMap": ("MessageSystemAttribute", "Name", "Value"),
    "MessageSystemAttributeMap": ("Attribute", "Name", "Value"),
    "QueueAttributeMap": ("Attribute", "Name", "Value"),
    "TagMap": ("Tag", "Key", "Value"),
}
_SQS_NAMESPACE = "http://queue.amazonaws.com/doc/2012-11-05/"
# A form that says none is about the queue at whose URL it arrives.
_SQS_URL = "QueueUrl"


def query_view(model: ServiceModel) -> ServiceModel:
    """The model as forms have it; the same one, of a service that has forgotten nothing."""
    return _sqs_view(model) if model.name == "sqs" else model


def _sqs_view(model: ServiceModel) -> ServiceModel:
    shapes = deepcopy(model.shapes)
    for name, element in _SQS_LISTS.items():
        shapes[name]["flattened"] = True
        shapes[name]["member"]["locationName"] = element
    for name, (_, key, value) in _SQS_MAPS.items():
        shapes[name]["flattened"] = True
        shapes[name]["key"]["locationName"], shapes[name]["value"]["locationName"] = key, value
    for shape in shapes.values():
        for member in shape.get("members", {}).values():
            if member["shape"] in _SQS_MAPS:
                member["locationName"] = _SQS_MAPS[member["shape"]][0]
        if _SQS_URL in shape.get("required", ()):
            shape["required"] = [each for each in shape["required"] if each != _SQS_URL]
    return replace(model, metadata={**model.metadata, "xmlNamespace": _SQS_NAMESPACE}, shapes=shapes)
