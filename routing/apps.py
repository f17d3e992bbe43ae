from django.apps import AppConfig


class RoutingConfig(AppConfig):
    name = "routing"

    def ready(self) -> None:
        from monitoring import health_cache
        from providers.discovery.settings import provide
        from routing.discovery_settings import surroundings
        from routing.environment_first import health_cache_ttl_s
        from routing.revisions import connect_signals

        connect_signals()
        provide(surroundings())
        health_cache.provide(health_cache_ttl_s)
