"""The public keys that everything from outside must be traced back to: ROOT/keys/*.pub."""

from __future__ import annotations

import os

KEY_BYTES = 32


def load(directory: str) -> tuple[list[bytes], list[str]]:
    """The keys, and what is wrong with files that hold none. No directory means no keys."""
    keys, notes = [], []
    try:
        names = sorted(name for name in os.listdir(directory) if name.endswith(".pub"))
    except OSError:
        return [], []
    for name in names:
        path = os.path.join(directory, name)
        try:
            with open(path, "rb") as file:
                text = file.read(200).decode("ascii")
            key = bytes.fromhex(text.strip())
        except (OSError, ValueError):
            key = b""
        if len(key) == KEY_BYTES:
            keys.append(key)
        else:
            notes.append(f"{path} holds no key: 64 hex characters were expected; it is passed over")
    return keys, notes
