"""Types of command-line arguments that several commands take."""

from argparse import ArgumentTypeError

LARGEST_PORT = 65535


def port_number(text: str) -> int:
    return _port(text, least=1)


def port_or_any(text: str) -> int:
    """0 stands for any free one."""
    return _port(text, least=0)


def _port(text: str, *, least: int) -> int:
    if not text.isdecimal() or not least <= int(text) <= LARGEST_PORT:
        raise ArgumentTypeError(f"'{text}' is not a port, a number from {least} to {LARGEST_PORT}")
    return int(text)
