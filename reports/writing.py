"""Writing a file that somebody may be reading: they see the old content or the new, never half of it."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from audit.errors import FolderError


def replace_file(target: Path, content: bytes, what: str) -> None:
    """Put ``content`` into ``target``, whole or not at all.

    Args:
        target: the file; its folder exists.
        content: what it will hold.
        what: the file's name in messages, such as ``"report"``.

    Raises:
        FolderError: the file cannot be written.
    """
    try:
        handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.", suffix=".part")
        draft = Path(name)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(content)
            draft.chmod(0o644)  # mkstemp makes it private; it is made to be handed on
            draft.replace(target)
        except BaseException:
            draft.unlink(missing_ok=True)
            raise
    except OSError as error:
        raise FolderError(f"the {what} cannot be written to {target}: {error.strerror or error}") from error
