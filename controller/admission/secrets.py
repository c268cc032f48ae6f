"""Variables that look like secrets: whoever may read the Service reads them too, so their author is told."""

from __future__ import annotations

from controller.admission.request import AdmissionRequest
from crds.kinds.service import SERVICE

_WORDS = ("PASSWORD", "PASSWD", "SECRET", "TOKEN", "APIKEY", "API_KEY", "PRIVATE_KEY", "ACCESS_KEY", "CREDENTIAL")
_BEGINNINGS = ("-----BEGIN ", "AKIA", "ghp_", "github_pat_", "glpat-", "xoxb-", "xoxp-", "sk-", "eyJ")
_HARMLESS_ENDS = ("_FILE", "_PATH", "_NAME", "_ID", "_URL", "_TTL")


class PlainSecrets:
    """Warns, and refuses nothing: names only look like something."""

    def validate(self, request: AdmissionRequest) -> list[str]:
        if request.kind is not SERVICE or not request.changes_spec or request.new is None:
            return []
        known = {each["name"]: each.get("value") for each in ((request.old or {}).get("spec") or {}).get("env") or ()}
        return [
            f"spec.env: {each['name']} looks like a secret, and everybody who may read this Service can read it; "
            "use valueFrom.secretKeyRef"
            for each in (request.new.get("spec") or {}).get("env") or ()
            if each.get("value")
            and known.get(each["name"]) != each["value"]
            and looks_secret(each["name"], each["value"])
        ]


def looks_secret(name: str, value: str) -> bool:
    """Judge by its name, by how secrets begin, or by a password in a URL."""
    upper = name.upper()
    if value.startswith(_BEGINNINGS) and len(value) >= 16:
        return True
    before, mark, _ = value.partition("@")
    user = before.partition("://")[2]
    if mark and "://" in before and ":" in user and "/" not in user:
        return True
    return any(word in upper for word in _WORDS) and not upper.endswith(_HARMLESS_ENDS)
