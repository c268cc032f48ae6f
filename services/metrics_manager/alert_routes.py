"""What is asked of channels besides their record, and the alerts of all, as Alertmanager's API shows them."""

from __future__ import annotations

from typing import Any

from crds.errors import BadRequest, NotFound
from services.metrics_manager.alert_kinds import ALERT_CHANNEL, ALERT_RULE
from services.metrics_manager.alert_views import managed_alert_view
from services.metrics_manager.alerts.alert import Alert
from services.metrics_manager.alerts.book import AlertBook
from services.metrics_manager.alerts.evaluating import Evaluator
from services.metrics_manager.alerts.messages import Group
from services.metrics_manager.alerts.notifying import ChannelFault, Notifier, Sends
from services.metrics_manager.promql.labels import labels_of, value_of
from services.sdk.context import ServiceContext
from services.sdk.routes import Request, route

Json = dict[str, Any]


class AlertRoutes:
    """One declared method per route."""

    def __init__(
        self, context: ServiceContext, evaluator: Evaluator, book: AlertBook, notifier: Notifier, sender: Sends
    ) -> None:
        self._context, self._evaluator, self._book = context, evaluator, book
        self._notifier, self._sender = notifier, sender

    @route("POST", "/channels/{namespace}/{name}/test", permission=("patch", ALERT_CHANNEL))
    async def test(self, request: Request) -> Json:
        """Tell that channel of an alert that is none, now. `{told: true}`, or 400 with the reason."""
        name, namespace = request.parameters["name"], request.parameters["namespace"]
        channel = await self._notifier.channels.read(name, namespace)
        if channel is None:
            raise NotFound(f"there is no AlertChannel {name} in the namespace {namespace}")
        now = self._context.clock.now().timestamp()
        labels = labels_of({"alertname": "test", "severity": "info", "namespace": namespace})
        texts = {"summary": f"This is a test of the channel {name}."}
        alert = Alert("test", labels, "firing", now, now, 1.0, now, annotations=texts)
        try:
            await self._sender.send(channel, Group(f"{channel.metadata.uid}/test", {"alertname": "test"}, [alert]))
        except ChannelFault as fault:
            raise BadRequest(f"the channel {name} could not be told: {fault}") from None
        return {"told": True}

    @route("GET", "/api/v2/alerts", permission=("list", ALERT_RULE), query=("active", "silenced", "inhibited"))
    async def alerts(self, request: Request) -> list[Json]:
        """Those that fire, of the caller's namespace; all, for who may list AlertRules everywhere."""
        everywhere = await self._context.authorizer.allows(
            request.caller, "list", ALERT_RULE.plural, ALERT_RULE.group, "", ""
        )
        muted = self._notifier.muting({each.key: each for each in self._evaluator.rules()})
        found = [
            managed_alert_view(each, muted(each))
            for each in self._book.all()
            if each.state == "firing" and (everywhere or value_of(each.labels, "namespace") == request.namespace)
        ]
        return [each for each in found if _is_wanted(each["status"], request.query)]

    @route("GET", "/api/v2/status", permission=("list", ALERT_RULE))
    async def status(self, request: Request) -> Json:
        return {
            "cluster": {"status": "disabled", "peers": []},
            "versionInfo": {
                "version": "0.27.0",
                "revision": "aerekos",
                "branch": "",
                "buildUser": "",
                "buildDate": "",
                "goVersion": "",
            },
            "config": {"original": ""},
            "uptime": "1970-01-01T00:00:00.000Z",
        }


def _is_wanted(status: Json, query: Any) -> bool:
    asked = {
        "active": status["state"] == "active",
        "silenced": bool(status["silencedBy"]),
        "inhibited": bool(status["inhibitedBy"]),
    }
    return not any(query.get(name) == "false" and holds for name, holds in asked.items())
