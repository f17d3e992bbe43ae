"""The admin pages of providers, credentials and deployments."""

from providers.admin import credential, deployment, provider

__all__ = ["credential", "deployment", "provider"]
