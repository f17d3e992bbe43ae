from django.apps import AppConfig


class ProxySiteConfig(AppConfig):
    name = "proxy_site"

    def ready(self) -> None:
        # Shared tasks belong to this application in every process, those that only send them included.
        from proxy_site import celery  # noqa: F401
