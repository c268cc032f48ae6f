"""IAM operations about what nobody has here: there are none, which tools that clean up after a user want to hear."""

from __future__ import annotations

from typing import Any

from crds.kinds.iam import IAM_USER
from services.iam_manager.directory import Directory
from services.iam_manager.errors import no_entity
from services.iam_manager.identities import user_meant
from services.iam_manager.kinds import IAM_ACCOUNT
from services.iam_manager.pages import PAGED
from services.sdk.aws.operations import RequestContext, operation

Json = dict[str, Any]


class NotKeptOperations:
    """One declared method per operation. What would make such things is refused."""

    def __init__(self, directory: Directory) -> None:
        self._directory = directory

    @operation("ListSigningCertificates", permission=("get", IAM_USER), understands=("UserName", *PAGED))
    async def list_signing_certificates(self, call: RequestContext, request: Json) -> Json:
        return await self._none_of_user(call, request, "Certificates")

    @operation(
        "ListServiceSpecificCredentials", permission=("get", IAM_USER), understands=("UserName", "ServiceName")
    )
    async def list_service_specific_credentials(self, call: RequestContext, request: Json) -> Json:
        return await self._none_of_user(call, request, "ServiceSpecificCredentials")

    @operation("ListMFADevices", permission=("get", IAM_USER), understands=("UserName", *PAGED))
    async def list_mfa_devices(self, call: RequestContext, request: Json) -> Json:
        """Second factors of this cloud are no devices of IAM's."""
        return await self._none_of_user(call, request, "MFADevices")

    @operation("GetLoginProfile", permission=("get", IAM_USER), understands=("UserName",))
    async def get_login_profile(self, call: RequestContext, request: Json) -> None:
        """Passwords of this cloud are no login profiles of IAM's."""
        await self._no_login_profile(call, request)

    @operation("DeleteLoginProfile", permission=("patch", IAM_USER), understands=("UserName",))
    async def delete_login_profile(self, call: RequestContext, request: Json) -> None:
        await self._no_login_profile(call, request)

    @operation("ListVirtualMFADevices", permission=("get", IAM_ACCOUNT), understands=("AssignmentStatus", *PAGED))
    async def list_virtual_mfa_devices(self, call: RequestContext, request: Json) -> Json:
        return await self._none(call, "VirtualMFADevices")

    @operation("ListSAMLProviders", permission=("get", IAM_ACCOUNT), understands=())
    async def list_saml_providers(self, call: RequestContext, request: Json) -> Json:
        return await self._none(call, "SAMLProviderList")

    @operation("ListServerCertificates", permission=("get", IAM_ACCOUNT), understands=("PathPrefix", *PAGED))
    async def list_server_certificates(self, call: RequestContext, request: Json) -> Json:
        return await self._none(call, "ServerCertificateMetadataList")

    async def _no_login_profile(self, call: RequestContext, request: Json) -> None:
        """Raises NoSuchEntity."""
        name = user_meant(call, request)
        await self._directory.allow(call, name)
        user = await self._directory.user(call, name)
        raise no_entity(f"Login Profile for User {user.spec.user_name} cannot be found.")

    async def _none_of_user(self, call: RequestContext, request: Json, name: str) -> Json:
        user = user_meant(call, request)
        await self._directory.allow(call, user)
        await self._directory.user(call, user)
        return {name: []}

    async def _none(self, call: RequestContext, name: str) -> Json:
        await self._directory.allow(call)
        return {name: []}
