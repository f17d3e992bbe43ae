"""Values that cross boundaries: immutable to the type checker, plain objects with slots when they run.

A frozen dataclass writes each of its fields through a function call that its own guard makes necessary: five times what
it takes to make one without. What is made for every call or event cannot afford that, and nothing here is changed by
code that was never checked. Long-lived values, such as specs and rules, are frozen at run time as well.
"""

from dataclasses import dataclass, field
from typing import TypeVar, dataclass_transform

Value = TypeVar("Value")

quick_tuple = tuple.__new__
"""Makes a named tuple of all its fields in order: `quick_tuple(Name, (…))`. Its own constructor takes twice as long."""

blank = object.__new__
"""Makes an object whose fields are all set next, one by one: `found = blank(Name)`. Its own `__init__` would be handed each
of them twice, which tells where there are some thirty."""


@dataclass_transform(frozen_default=True, kw_only_default=True, field_specifiers=(field,))
def value(cls: type[Value]) -> type[Value]:
    """Made with keywords."""
    return dataclass(slots=True, kw_only=True, unsafe_hash=True)(cls)


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
def positional_value(cls: type[Value]) -> type[Value]:
    """Made by position where it is made often: a keyword for each field would double the price."""
    return dataclass(slots=True, unsafe_hash=True)(cls)
