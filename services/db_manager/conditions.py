"""Words that Databases carry in their status."""

from __future__ import annotations

from crds.term import Term


class DatabaseCondition(Term):
    """What a condition tells about a Database (`status.conditions[].type`)."""

    READY = "Ready", "Its endpoint takes writes, and its credentials open it."
    PARAMETERS_APPLIED = "ParametersApplied", "Every parameter of its spec is in force."
    BACKED_UP = "BackedUp", "Its moments can be brought back, up to a short while ago."
    RESTORABLE = "Restorable", "What is stored of it was restored, and answered; as the last drill found."
    REPLICATED = "Replicated", "Every other member follows the primary; of one with members."


class DatabaseReason(Term):
    """Why a Database is as its conditions say. What its servers say of themselves is repeated with their reasons."""

    AVAILABLE = "Available", "It was written to and read just now."
    CREATING = "Creating", "Its servers are being made."
    STOPPED = "Stopped", "`spec.enabled` is false: its data is kept."
    UNREACHABLE = "Unreachable", "Its server runs, and does not answer as it should."
    SWITCHING = "Switching", "Another member is about to take its writes: the message says which, and why."
    PRIMARY_CHANGED = "PrimaryChanged", "An Event: another member takes its writes."
    NO_SUCCESSOR = "NoSuccessor", "Its primary is to be replaced, and no other member may take its place."
    WRITES_WAIT = "WritesWait", "With durability strict, writes wait until another member follows."
    FOLLOWING = "Following", "Every other member gets the log as it is written."
    NOT_FOLLOWING = "NotFollowing", "Members that the message names do not follow the primary."
    COPIED_ANEW = "CopiedAnew", "An Event: a member that did not follow any more is copied from the primary again."
    NAME_TAKEN = "NameTaken", "A resource that it would make is there already, and is somebody else's."
    INVALID_PASSWORD = (
        "InvalidPassword",
        "No client could be given the password in its Secret: change it there.",
    )
    INVALID_ANNOTATION = "InvalidAnnotation", "DatabaseUser: `aerekos.cloud/rotate` is no time."
    SERVER_REFUSED = "ServerRefused", "The cloud refuses a server of it: the message says which rule."
    DATABASE_MISSING = "DatabaseMissing", "DatabaseUser: there is no Database of that name in its namespace."
    DATABASE_NOT_READY = "DatabaseNotReady", "DatabaseUser: its Database is not Ready."
    ROLE_IN_USE = "RoleInUse", "DatabaseUser: something in the server keeps a role of it from being dropped."
    ARCHIVING = "Archiving", "Its log is stored as it is written, and its base backups are."
    FIRST_BACKUP = "FirstBackup", "Its first base backup is being taken: no moment can be brought back yet."
    ARCHIVE_BEHIND = "ArchiveBehind", "Its log or base backups cannot be stored; the message says why."
    RESTORING = "Restoring", "What it is to begin with is being brought in."
    RESTORE_FAILED = (
        "RestoreFailed",
        "What it is to begin with cannot be brought back: the message says why.",
    )
    FINAL_BACKUP = "FinalBackup", "It is deleted once its last backup is taken."
    BACKUP_FAILED = "BackupFailed", "DatabaseBackup: it could not be taken."
    KEY_INVALID = "KeyInvalid", "The Secret database-backups has no key of backups."
    DRILL_PASSED = "DrillPassed", "What is stored last was restored, and answered: the message says how much it held."
    DRILL_FAILED = "DrillFailed", "What is stored could not be restored: the message says why."
    IN_FORCE = "InForce", "The server uses every parameter."
    APPLYING = "Applying", "The server has not read the parameters of the spec yet."
    PENDING_RESTART = "PendingRestart", "Some parameters count after a restart; `status.pendingRestart` names them."
    INVALID_PARAMETERS = (
        "InvalidParameters",
        "The server does not take some parameters, and goes on with those before.",
    )


class BackupPhase(Term):
    """Where a DatabaseBackup stands (`status.phase`)."""

    PENDING = "Pending", "It waits for its Database."
    RUNNING = "Running", "It is being taken."
    COMPLETED = "Completed", "It is whole: a Database can begin with it."
    FAILED = "Failed", "It cannot be taken any more; the message says why."


class RestorePhase(Term):
    """How far what a Database begins with has come (`status.restore.phase`)."""

    VERIFYING = "Verifying", "All that is needed is read and compared."
    COPYING = "Copying", "It is brought into the new server."
    STARTING = "Starting", "The server starts from it, and recovers to the moment that was asked for."
    DONE = "Done", "The server has started from it."
