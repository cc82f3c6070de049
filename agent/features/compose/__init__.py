"""Deploying Compose projects: the command `deploy_compose`, and all that follows its acknowledgement."""

from agent.features.compose.deployments import Deployments

__all__ = ["Deployments"]
