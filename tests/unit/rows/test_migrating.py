"""Alterations that are made of Django's state alone must be of no interest to the database."""

from django.db.migrations import AlterField, AlterModelOptions
from django.db.migrations.loader import MigrationLoader
from django.db.models import Field

from rows.migrating import StateAlone


def of_the_column(field: Field) -> tuple[str, object, dict[str, object]]:  # type: ignore[type-arg]
    _, path, arguments, options = field.deconstruct()
    return path, arguments, {name: value for name, value in options.items() if name not in field.non_db_attrs}


def test_what_is_altered_in_the_state_alone_changes_no_column() -> None:
    loader = MigrationLoader(None)
    altered = 0
    for key, migration in loader.graph.nodes.items():
        if not any(isinstance(each, StateAlone) for each in migration.operations):
            continue
        state = loader.project_state(key, at_end=False)
        for operation in migration.operations:
            for each in operation.state_operations if isinstance(operation, StateAlone) else ():
                assert isinstance(each, AlterField | AlterModelOptions), (key, each)
                if isinstance(each, AlterField):
                    before = state.models[key[0], each.model_name_lower].fields[each.name]
                    assert of_the_column(before) == of_the_column(each.field), (key, each.model_name, each.name)
                    altered += 1
            operation.state_forwards(key[0], state)
    assert altered > 100, "the alterations were not found"
