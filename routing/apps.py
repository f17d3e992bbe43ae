from django.apps import AppConfig


class RoutingConfig(AppConfig):
    name = "routing"

    def ready(self) -> None:
        from providers.discovery.settings import provide
        from routing.discovery_settings import surroundings
        from routing.revisions import connect_signals

        connect_signals()
        provide(surroundings())
