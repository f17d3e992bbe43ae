"""How many of a thing there are, as commands say it. Pages have ngettext, for two languages."""


def counted(number: int, thing: str) -> str:
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"
