"""Nonsense on every path, in every header and body: an answer below 500, and never none.

`AEREKOS_FUZZ_EXAMPLES=20000 pytest tests/unit/kube/test_fuzz.py` goes on for minutes.
"""

from __future__ import annotations

import json
import os
import random
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import anyio
import anyio.from_thread
from hypothesis import given, settings
from hypothesis import strategies as st

from api.auth.authorizer import Authorizer
from api.kube.resource_api import ResourceApi
from controller.kit.clock import SystemClock
from controller.kit.threads import Inline
from controller.resources.registry import Registry
from controller.resources.strategy import WriteOptions
from controller.store.sql import open_store
from crds.catalog import CORE_KINDS, Catalog
from crds.kinds.namespace import NAMESPACE
from tests.unit.kube.conftest import Wire

EXAMPLES = int(os.environ.get("AEREKOS_FUZZ_EXAMPLES", "300"))


def one_of(words: str) -> st.SearchStrategy[str]:
    return st.sampled_from(words.split())


WORDS = st.text(max_size=6) | one_of(
    "api apis v1 aerekos.cloud namespaces default services configmaps web status scale nodes pods log "
    "deployments apps secrets rbac.authorization.k8s.io roles openapi v3"
)
PATHS = st.lists(WORDS, max_size=9).map(lambda words: "/" + "/".join(words)) | one_of(
    "/api/v1/namespaces/default/configmaps /api/v1/namespaces/default/configmaps/web "
    "/apis/aerekos.cloud/v1/namespaces/default/services/web /api/v1/namespaces/default/services"
)
NAMES = one_of(
    "limit continue labelSelector fieldSelector resourceVersion resourceVersionMatch dryRun force "
    "fieldManager fieldValidation propagationPolicy pretty"
)
QUERIES = st.dictionaries(
    NAMES, st.text(max_size=12) | one_of("0 -1 All Strict a=b a,in,(b metadata.name=x Exact"), max_size=3
)
FIELDS = one_of("metadata name spec status labels data kind rules roleRef subjects managedFields")
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(FIELDS, inner, max_size=4),
    max_leaves=12,
)
BODIES = st.binary(max_size=60) | JSON.map(lambda value: json.dumps(value).encode())
TYPES = st.just("") | one_of(
    "application/json application/merge-patch+json application/json-patch+json application/yaml "
    "application/apply-patch+yaml application/strategic-merge-patch+json text/plain "
    "application/vnd.kubernetes.protobuf"
)
ACCEPTS = one_of("application/json application/json;as=Table;v=v1;g=meta.k8s.io */* text/html ;;")
METHODS = one_of("GET HEAD POST PUT PATCH DELETE OPTIONS BREW")


@contextmanager
def a_wire() -> Iterator[tuple[anyio.from_thread.BlockingPortal, Wire]]:
    """One cloud for all examples; what they leave behind is part of the nonsense."""
    with tempfile.TemporaryDirectory() as folder, anyio.from_thread.start_blocking_portal() as portal:
        store, wire = portal.call(_open, Path(folder))
        try:
            yield portal, wire
        finally:
            portal.call(store.close)


async def _open(folder: Path) -> Any:
    clock, catalog = SystemClock(), Catalog(CORE_KINDS)
    store = await open_store(f"sqlite:///{folder}/records.db", threads=Inline(), clock=clock)
    registry = Registry(store, catalog, clock)
    await registry.create(NAMESPACE, "", {"metadata": {"name": "default"}}, WriteOptions(by="test"))
    return store, Wire(ResourceApi(registry, Authorizer(catalog, (), store), clock, random.Random(1)), registry)


def test_nonsense_is_answered() -> None:
    with a_wire() as (portal, wire):

        @settings(max_examples=EXAMPLES)
        @given(METHODS, PATHS, QUERIES, BODIES, TYPES, ACCEPTS)
        def ask(method: str, path: str, query: dict[str, str], body: bytes, sent: str, accept: str) -> None:
            async def once() -> int:
                with anyio.fail_after(10):
                    whole = f"{path}?{urlencode(query)}" if query else path
                    return (await wire.ask(method, whole, body, content_type=sent, accept=accept)).code

            assert portal.call(once) < 500

        ask()
