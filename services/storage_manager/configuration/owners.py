"""Accounts as ACLs name them: canonical ids, which say by themselves that they are some, and of which account.

An account's number, and a sum over it: whoever mistypes one is told so, and no list of accounts is needed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from functools import lru_cache

from services.sdk.aws.accounts import account_of
from services.sdk.aws.policy.principals import is_account
from services.storage_manager.configuration.documents import Document

_DIGITS, _LENGTH = 12, 64


def owner_of(namespace: str) -> Document:
    """A namespace's account as the owner of something."""
    return {"ID": canonical_id(account_of(namespace)), "DisplayName": namespace}


def named(acl: Document, namespaces: Iterable[str]) -> Document:
    """A list as it is answered: accounts by the names of namespaces, where these are known."""
    names = {canonical_id(account_of(each)): each for each in namespaces}
    grants = [{**each, "Grantee": _named(each["Grantee"], names)} for each in acl["Grants"]]
    return {"Owner": _named(acl["Owner"], names), "Grants": grants}


def _named(who: Document, names: Mapping[str, str]) -> Document:
    name = names.get(who.get("ID", ""))
    return who if name is None else {**who, "DisplayName": name}


@lru_cache(maxsize=4096)
def canonical_id(account: str) -> str:
    """64 digits in hex."""
    return account + hashlib.sha256(f"canonical id of {account}".encode()).hexdigest()[: _LENGTH - _DIGITS]


def account_of_canonical(id: str) -> str | None:
    """The account, or None for what is no canonical id."""
    account = id[:_DIGITS]
    return account if len(id) == _LENGTH and is_account(account) and canonical_id(account) == id else None
