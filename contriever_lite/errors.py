"""Errors that a user can mend. Each names the value found, what is allowed, and the next step.

The command line prints them in one or two lines; anything else is a defect and shows a traceback.
"""

import errno

DISK = {
    errno.ENOSPC: "Make room, and where the command has --resume, go on with it; or give a folder "
    "on another disk.",
    errno.EROFS: "Nothing can be written there; give another folder.",
    errno.EACCES: "You may not write or read there; give another folder, or change its rights.",
}


class UserError(Exception):
    """Base of every error that is not a defect of this package.

    status: what a command that ends with it returns.
    """

    status = 1


class DataError(UserError):
    """A file or folder of data is missing, broken or inconsistent: names the file and the line."""


class SourceError(DataError):
    """Documents cannot be reached now: no network, or no package. The same again may do."""


class ConfigError(UserError, ValueError):
    """A setting has a value that is not allowed: names the setting, the value and the choices."""


class CheckpointError(UserError):
    """A saved model is missing, incomplete, or made by another configuration."""


class TrainingError(UserError):
    """Training cannot go on: names the step and what to change."""


def next_step(error: Exception) -> str:
    """What to do about a fault of the disk: the system's error names the file and no way out.
    Empty for any other error."""
    return f". {DISK[error.errno]}" if getattr(error, "errno", None) in DISK else ""
