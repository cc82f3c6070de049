"""Deploying a Compose project: what was asked for, what it touches, how it goes, what came of it."""
