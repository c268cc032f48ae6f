"""Words that the resources of key_manager carry in their status: states of Keys, and reasons of conditions."""

from __future__ import annotations

from crds.term import Term


class KeyState(Term):
    """The state of a Key (`status.keyState`), as AWS KMS names it; also the reason of its condition Reconciled."""

    CREATING = "Creating", "It has no key material yet."
    ENABLED = "Enabled", "It can be used."
    DISABLED = "Disabled", "It cannot be used until it is enabled."
    PENDING_IMPORT = "PendingImport", "It cannot be used until its key material is imported, or imported again."
    PENDING_DELETION = "PendingDeletion", "It cannot be used, and is deleted with its material at its deletion date."


class KeyReason(Term):
    """Why a Key or a KeyAlias is as its condition Reconciled says."""

    DELETED = "Deleted", "Its deletion date has come, and it was deleted."
    IN_USE = "InUse", "Its deletion date has come, but other resources need it."
    KEY_MATERIAL_UNAVAILABLE = "KeyMaterialUnavailable", "Its material cannot be read or made now."
    KEY_NOT_FOUND = "KeyNotFound", "An alias names a Key that is not there."
