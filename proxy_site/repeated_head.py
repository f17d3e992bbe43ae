"""The head of a request that comes again. Pure.

An application sends the same head with each of its requests on a connection, but for the length of the body. What was read
from it once, by a parser that refuses what is not HTTP, holds for the next request that begins with the very same bytes:
no parsing, no headers by name, no address and no key to be taken out of them again. Anything else goes to the parser.
"""

from collections.abc import Awaitable, Callable
from typing import Any

END = b"\r\n\r\n"
LENGTH = b"\r\ncontent-length:"
LEFT_TO_THE_PARSER = (b"\r\ntransfer-encoding", b"\r\nexpect", b"\r\nupgrade")
LONGEST_HEAD = 16 * 1024
MOST_DIGITS = 7

Answer = Callable[[Any, Any, Any], Awaitable[None]]


class RepeatedHead:
    """`scope` is ASGI's, as the parser's reading made it. `answer` takes (connection, receive, send) of a further request
    with this head; None while the application has not offered that."""

    __slots__ = ("_after", "_before", "answer", "scope")

    def __init__(self, before: bytes, after: bytes, scope: Any) -> None:
        self._before = before
        self._after = after
        self.scope = scope
        self.answer: Answer | None = None

    def body_in(self, data: bytes) -> bytes | None:
        """The body, when `data` is one whole request with this head; None when the parser must look."""
        before = self._before
        if not data.startswith(before):
            return None
        begin = len(before)
        end = data.find(b"\r", begin, begin + MOST_DIGITS + 1)
        length = data[begin:end]
        after = self._after
        if not length.isdigit() or not data.startswith(after, end):
            return None
        body = data[end + len(after) :]
        return body if len(body) == int(length) else None


def repeated_head(data: bytes, body_length: int, scope: Any) -> RepeatedHead | None:
    """What `data` begins with, when it was one whole request whose body the parser found to be `body_length` long."""
    end = data.find(END, 0, LONGEST_HEAD) + len(END)
    head = data[:end].lower()
    if not head.startswith(b"post ") or len(data) - end != body_length or head.count(LENGTH) != 1:
        return None
    if any(head.find(name) >= 0 for name in LEFT_TO_THE_PARSER):
        return None
    begin = head.find(LENGTH) + len(LENGTH)
    if head.startswith(b" ", begin):
        begin += 1
    stop = head.find(b"\r", begin)
    length = head[begin:stop]
    if not length.isdigit() or len(length) > MOST_DIGITS or int(length) != body_length:
        return None
    return RepeatedHead(data[:begin], data[stop:end], scope)
