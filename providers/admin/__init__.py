"""The admin pages of providers, credentials and deployments, and of what discovery has found."""

from providers.admin import credential, deployment, discovered, provider

__all__ = ["credential", "deployment", "discovered", "provider"]
