"""The boot loader and supervisor: starts the release that is to run, and takes a bad one back.

It is never updated itself and imports the standard library only, of that neither `re`, `subprocess` nor `ssl`: it
stays in memory beside the agent. docs/reference/launcher.md is its contract with every release to come.
"""

LAUNCHER_API = 1
"""What a release may rely on; its manifest's `min_launcher` says what it needs."""
