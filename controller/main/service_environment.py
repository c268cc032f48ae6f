"""The environment of managed services, for each runtime: where the API is, and how to prove itself."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import orjson

from controller.kit.files import write_private
from controller.kit.threads import Threads
from controller.main.components import Components
from controller.main.image_resolver import ImageResolver
from controller.main.stack_settings import REGISTRY_PROXY, Stack
from controller.reconcilers.service_workload import RuntimeInputs
from controller.runtime.driver import DriverError, File
from controller.runtime.engines.finder import EngineFinder, FoundEngine
from controller.runtime.engines.inputs import engine_env, find_engine
from controller.runtime.process.planning import base_name
from controller.runtime.process.process_host import data_folder
from crds.conditions import Reason
from crds.kind import key_of
from crds.kinds.service import SERVICE, Service
from crds.kinds.service_engines import DATA_VOLUME, EngineRef
from crds.kinds.service_roles import (
    CA_FILE,
    MACHINE_ADDRESS,
    MACHINE_PORT,
    TOKEN_FILE,
    TOKEN_VARIABLE,
    URI_VARIABLE,
)
from crds.managed import ManagedService
from services.sdk.aws.app import DEFAULT_REGION
from services.sdk.discovery import VARIABLE, folder_elsewhere

_FOLDER = "/run/aerekos"
_NO_ROLE = (
    "role: containers get credentials from their machine's agent, which a cloud has that is a stack (make swarm-up); "
    "here run it as a program (spec.command), or give it a token of a service account (docs/iam.md)"
)
_ENGINE_PATH = "/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class ProcessEnvironment:
    """Files below the cloud's home, of which each process reads its own: `reads`."""

    def __init__(self, components: Components, finder: EngineFinder) -> None:
        self._components, self._finder, self._threads = components, finder, Threads(1)

    async def __call__(self, service: Service, manifest: ManagedService | None) -> RuntimeInputs:
        """Raises DriverError while the program of an engine is not there."""
        if service.spec.engine is not None:
            return await self._of_engine(service, service.spec.engine)
        if manifest is None:
            return self._of_role(service) if service.spec.role else RuntimeInputs()
        home, name = self._components.home, base_name(key_of(SERVICE, service))
        file, content = home / "credentials" / f"{name}.json", _credential(self._components, service)
        if not file.exists() or file.read_bytes() != content:
            write_private(file, content)
        secrets = {_variable(each): str(home / "secrets" / each) for each in manifest.secrets}
        own = {
            "AEREKOS_API": self._components.settings.url,
            "AEREKOS_CA": str(self._components.authority.ca_file),
            "AEREKOS_CREDENTIAL": str(file),
            **_collector(self._components),
            **({VARIABLE: str(elsewhere.parent)} if (elsewhere := folder_elsewhere(manifest.name)) else {}),
        }
        env = own | secrets
        # Whatever of the home it is told of, it may read; and nothing else.
        reads = tuple(each for each in env.values() if Path(each).is_relative_to(home))
        return RuntimeInputs(env=env, reads=reads, digests={each: _digest(Path(each)) for each in reads})

    def _of_role(self, service: Service) -> RuntimeInputs:
        if service.spec.image:
            raise DriverError(_NO_ROLE)
        namespace, name = service.metadata.namespace or "default", service.metadata.name
        endpoint = self._components.role_endpoint.url(namespace, name)
        return _role_inputs(self._components, service, endpoint, self._components.settings.url)

    async def _of_engine(self, service: Service, ref: EngineRef) -> RuntimeInputs:
        volume = data_folder(self._components.home, key_of(SERVICE, service)) / DATA_VOLUME
        found = await self._threads.run(
            lambda: find_engine(self._finder, ref.engine, ref.version or "", volume, self._components.worker)
        )
        return RuntimeInputs(env=engine_env(found), command=ref.engine.command, engine=found, programs=found.folders)


class ContainerEnvironment:
    """Swarm secrets; the image of all managed services; the network the conductor is in."""

    def __init__(self, components: Components, stack: Stack, images: ImageResolver, address: str) -> None:
        """`address`: of the conductor's machine, as the Swarm knows it."""
        self._components, self._stack, self._images, self._address = components, stack, images, address

    async def __call__(self, service: Service, manifest: ManagedService | None) -> RuntimeInputs:
        """Raises DriverError while the image is not in the cloud's registry."""
        if service.spec.engine is not None:
            return await self._of_engine(service.spec.engine)
        if manifest is None:
            image = service.spec.image
            given = self._of_role(service) if service.spec.role else RuntimeInputs()
            return replace(given, image=await self._images.pinned(image)) if image else given
        if elsewhere := folder_elsewhere(manifest.name):
            where = f"{elsewhere} is in no image; copy it to services/ and build the images: make images"
            raise DriverError(where, reason=Reason.IMAGE_NOT_FOUND)
        secrets = {each: (self._components.home / "secrets" / each).read_bytes() for each in manifest.secrets}
        files = [
            File(f"{_FOLDER}/ca.crt", self._components.authority.ca_file.read_bytes()),
            File(f"{_FOLDER}/credential.json", _credential(self._components, service), secret=True),
            *(File(f"{_FOLDER}/{name}", content, secret=True) for name, content in secrets.items()),
        ]
        own = {
            "AEREKOS_API": self._stack.url,
            "AEREKOS_CA": f"{_FOLDER}/ca.crt",
            "AEREKOS_CREDENTIAL": f"{_FOLDER}/credential.json",
            **_collector(self._components),
        }
        return RuntimeInputs(
            env=own | {_variable(each): f"{_FOLDER}/{each}" for each in secrets},
            files=tuple(files),
            image=await self._images.pinned(self._stack.services_image),
            # Swarm cannot say it for a service before Docker 27, so the first program does.
            command=("setpriv", "--no-new-privs", "--", "python3", "-m", "services.sdk.run"),
            control=True,
        )

    def _of_role(self, service: Service) -> RuntimeInputs:
        """The machine's agent answers (`agent.swarm.role_credentials`). The conductor has its name in `default`."""
        namespace, name = service.metadata.namespace or "default", service.metadata.name
        endpoint = f"http://{MACHINE_ADDRESS}:{MACHINE_PORT}/services/{namespace}/{name}"
        host = f"[{self._address}]" if ":" in self._address else self._address
        cloud = self._stack.url if namespace == "default" else f"https://{host}:{self._stack.published_port}"
        return _role_inputs(self._components, service, endpoint, cloud)

    async def _of_engine(self, ref: EngineRef) -> RuntimeInputs:
        """An image of Debian packages, which a manager builds when it is first needed. Raises DriverError."""
        wanted = (ref.version or "").partition(".")[0] if ref.engine.by_major else ""
        image = f"{REGISTRY_PROXY}/aerekos/engine-{ref.name}:{wanted or 'default'}"
        try:
            pinned = await self._images.offered(image)
        except DriverError as refused:
            if refused.reason != Reason.IMAGE_NOT_FOUND:
                raise
            command = f"images/engine.sh {ref.name} {wanted}".strip()
            text = f"the image of {ref.name} is not built yet; on this manager, in the sources: {command}"
            raise DriverError(text, reason=Reason.ENGINE_MISSING) from refused
        env = {"PATH": _ENGINE_PATH, "PORT": "{port}", "HOST": "0.0.0.0"}  # noqa: S104 - of a container
        return RuntimeInputs(
            env=env, image=pinned, command=ref.engine.command, engine=FoundEngine(pinned, ref.version or "")
        )


def _role_inputs(components: Components, service: Service, endpoint: str, cloud: str) -> RuntimeInputs:
    """Where AWS SDKs look for credentials, and for this cloud; the Service's own variables come first there."""
    token = components.derived.workload_token(
        service.metadata.namespace or "default", service.metadata.name, service.metadata.uid or ""
    )
    found = {
        "AWS_ENDPOINT_URL": cloud,
        "AWS_CA_BUNDLE": CA_FILE,
        "AWS_REGION": DEFAULT_REGION,
        "AWS_DEFAULT_REGION": DEFAULT_REGION,
    }
    said = {each.name for each in service.spec.env}
    env = {name: text for name, text in found.items() if name not in said}
    env |= {URI_VARIABLE: endpoint, TOKEN_VARIABLE: TOKEN_FILE}
    ca = File(CA_FILE, components.authority.ca_file.read_bytes())
    digest = hashlib.sha256(token.encode()).hexdigest()
    return RuntimeInputs(env=env, files=(File(TOKEN_FILE, token.encode(), secret=True, digest=digest), ca))


def _credential(components: Components, service: Service) -> bytes:
    client = f"service:{service.metadata.name}"
    secret = components.accounts.client_secret(client, SERVICE.key(service.metadata.name, service.metadata.namespace))
    return orjson.dumps({"clientId": client, "clientSecret": secret})


def _collector(components: Components) -> dict[str, str]:
    endpoint = components.settings.otlp_endpoint
    return {"AEREKOS_OTLP_ENDPOINT": endpoint} if endpoint else {}


def _digest(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest() if file.is_file() else ""


def _variable(secret: str) -> str:
    return f"AEREKOS_SECRET_{secret.upper().replace('-', '_')}"
