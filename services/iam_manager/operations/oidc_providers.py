"""IAM operations about issuers of ID tokens."""

from __future__ import annotations

from typing import Any

from crds.kinds.oidc_provider import OIDC_PROVIDER, OidcProvider, OidcProviderSpec
from services.iam_manager import errors
from services.iam_manager.directory import Directory
from services.iam_manager.pages import PAGED
from services.iam_manager.tagging import given_tags, tag_page, with_tags, without_tags
from services.sdk.aws.operations import RequestContext, operation
from services.sdk.aws.tags import tag_list

Json = dict[str, Any]
_ARN = "OpenIDConnectProviderArn"
MOST_CLIENTS, MOST_THUMBPRINTS = 100, 5
_HEX = frozenset("0123456789abcdefABCDEF")


class OidcProviderOperations:
    """One declared method per operation."""

    def __init__(self, directory: Directory) -> None:
        self._directory = directory

    @operation(
        "CreateOpenIDConnectProvider",
        permission=("create", OIDC_PROVIDER),
        understands=("Url", "ClientIDList", "ThumbprintList", "Tags"),
    )
    async def create_open_id_connect_provider(self, call: RequestContext, request: Json) -> Json:
        url = request["Url"]
        if not url.startswith("https://") or len(url) <= len("https://"):
            raise errors.validation("Invalid Open ID Connect Provider URL")
        spec = OidcProviderSpec(
            url=url.removeprefix("https://"),
            client_ids=_clients(request.get("ClientIDList") or []),
            thumbprints=_thumbprints(request.get("ThumbprintList") or []),
            tags=given_tags(request),
        )
        made = await self._directory.create(OIDC_PROVIDER, call, spec.url, spec)
        shown: Json = {_ARN: provider_arn(call.account, made)}
        return shown | ({"Tags": tag_list(spec.tags)} if spec.tags else {})

    @operation("GetOpenIDConnectProvider", permission=("get", OIDC_PROVIDER), understands=(_ARN,))
    async def get_open_id_connect_provider(self, call: RequestContext, request: Json) -> Json:
        found = await self._one(call, request)
        return {
            "Url": found.spec.url,
            "ClientIDList": found.spec.client_ids,
            "ThumbprintList": found.spec.thumbprints,
            "CreateDate": found.metadata.creation_timestamp,
            "Tags": tag_list(found.spec.tags),
        }

    @operation("ListOpenIDConnectProviders", permission=("list", OIDC_PROVIDER), understands=())
    async def list_open_id_connect_providers(self, call: RequestContext, request: Json) -> Json:
        await self._directory.allow(call)
        found = await self._directory.all(OIDC_PROVIDER, call)
        return {"OpenIDConnectProviderList": [{"Arn": provider_arn(call.account, each)} for each in found]}

    @operation("DeleteOpenIDConnectProvider", permission=("delete", OIDC_PROVIDER), understands=(_ARN,))
    async def delete_open_id_connect_provider(self, call: RequestContext, request: Json) -> None:
        """As AWS: to delete what is not there is no error."""
        url = _url_of(request[_ARN], call)
        await self._directory.allow(call, url)
        found = await self._directory.find(OIDC_PROVIDER, call, url)
        if found is not None:
            await self._directory.delete(OIDC_PROVIDER, call, found)

    @operation(
        "UpdateOpenIDConnectProviderThumbprint",
        permission=("patch", OIDC_PROVIDER),
        understands=(_ARN, "ThumbprintList"),
    )
    async def update_open_id_connect_provider_thumbprint(self, call: RequestContext, request: Json) -> None:
        wanted = _thumbprints(request["ThumbprintList"])

        def change(provider: OidcProvider) -> None:
            provider.spec.thumbprints = wanted

        await self._change(call, request, change)

    @operation(
        "AddClientIDToOpenIDConnectProvider", permission=("patch", OIDC_PROVIDER), understands=(_ARN, "ClientID")
    )
    async def add_client_id_to_open_id_connect_provider(self, call: RequestContext, request: Json) -> None:
        def change(provider: OidcProvider) -> None:
            if request["ClientID"] not in provider.spec.client_ids:
                provider.spec.client_ids = _clients([*provider.spec.client_ids, request["ClientID"]])

        await self._change(call, request, change)

    @operation(
        "RemoveClientIDFromOpenIDConnectProvider", permission=("patch", OIDC_PROVIDER), understands=(_ARN, "ClientID")
    )
    async def remove_client_id_from_open_id_connect_provider(self, call: RequestContext, request: Json) -> None:
        def change(provider: OidcProvider) -> None:
            provider.spec.client_ids = [each for each in provider.spec.client_ids if each != request["ClientID"]]

        await self._change(call, request, change)

    @operation("TagOpenIDConnectProvider", permission=("patch", OIDC_PROVIDER), understands=(_ARN, "Tags"))
    async def tag_open_id_connect_provider(self, call: RequestContext, request: Json) -> None:
        await self._change(call, request, with_tags(request))

    @operation("UntagOpenIDConnectProvider", permission=("patch", OIDC_PROVIDER), understands=(_ARN, "TagKeys"))
    async def untag_open_id_connect_provider(self, call: RequestContext, request: Json) -> None:
        await self._change(call, request, without_tags(request))

    @operation("ListOpenIDConnectProviderTags", permission=("get", OIDC_PROVIDER), understands=(_ARN, *PAGED))
    async def list_open_id_connect_provider_tags(self, call: RequestContext, request: Json) -> Json:
        return tag_page(call, request, (await self._one(call, request)).spec.tags)

    async def _one(self, call: RequestContext, request: Json) -> OidcProvider:
        url = _url_of(request[_ARN], call)
        await self._directory.allow(call, url)
        return await self._directory.one(OIDC_PROVIDER, call, url, request[_ARN])

    async def _change(self, call: RequestContext, request: Json, change: Any) -> None:
        await self._directory.change(OIDC_PROVIDER, call, _url_of(request[_ARN], call), change, request[_ARN])


def provider_arn(account: str, provider: OidcProvider) -> str:
    return f"arn:aws:iam::{account}:oidc-provider/{provider.spec.url}"


def _url_of(arn: str, call: RequestContext) -> str:
    begin = f"arn:aws:iam::{call.account}:oidc-provider/"
    if not arn.startswith(begin):
        raise errors.validation("Invalid ARN: " + arn)
    return arn.removeprefix(begin)


def _clients(wanted: list[str]) -> list[str]:
    if len(wanted) > MOST_CLIENTS:
        raise errors.limit(f"Cannot exceed quota for ClientIdsPerOpenIdConnectProvider: {MOST_CLIENTS}")
    return wanted


def _thumbprints(wanted: list[str]) -> list[str]:
    if len(wanted) > MOST_THUMBPRINTS:
        raise errors.invalid(f"Thumbprint list must contain fewer than {MOST_THUMBPRINTS} entries.")
    if wrong := next((each for each in wanted if len(each) != 40 or not _HEX.issuperset(each)), None):
        raise errors.validation(f"{wrong} is no thumbprint: it has 40 hexadecimal digits")
    return wanted
