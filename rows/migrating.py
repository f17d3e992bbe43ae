"""What migrations share."""

from typing import Any

from django.db.migrations.operations import SeparateDatabaseAndState
from django.db.migrations.operations.base import Operation


class StateAlone(SeparateDatabaseAndState):
    """Alterations of which no column knows: words, choices, validators. After each of them Django would build the models anew
    that it has to do with; here all models are built once after the last, which makes a first start a second shorter.
    """

    def __init__(self, state_operations: list[Operation]) -> None:
        super().__init__(state_operations=state_operations)

    def state_forwards(self, app_label: str, state: Any) -> None:
        built = state.__dict__.pop("apps", None)
        super().state_forwards(app_label, state)
        if built is not None:
            _ = state.apps
