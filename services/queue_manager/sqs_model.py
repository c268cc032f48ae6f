"""The model of SQS, without the lists of names that it says wrongly or too strictly.

It takes names of queues' attributes for those of messages, which every client sends; and SQS has an error of its own
for names it does not know (`InvalidAttributeName`).
"""

from __future__ import annotations

from dataclasses import replace

from services.sdk.aws.model import ServiceModel, load_model

_JUDGED_HERE = ("QueueAttributeName", "MessageSystemAttributeName", "MessageSystemAttributeNameForSends")


def sqs_model() -> ServiceModel:
    """Shares all else with the model that was loaded."""
    model = load_model("sqs")
    free = {
        name: {each: said for each, said in model.shapes[name].items() if each != "enum"} for name in _JUDGED_HERE
    }
    return replace(model, shapes={**model.shapes, **free})
