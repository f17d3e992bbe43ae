"""Answers as they stand on the wire, and what a caller must see of each."""

import gzip
import zlib
from dataclasses import dataclass

from tests.transport.outcomes import Outcome

EVENTS = b'data: {"a":1}\n\ndata: {"b":2}\n\ndata: [DONE]\n\n'


@dataclass(frozen=True)
class Answer:
    """`closes`: the server closes after it. `reusable`: another call may follow on the connection."""

    wire: bytes
    expected: Outcome
    method: str = "POST"
    closes: bool = False
    reusable: bool = True


def _ok(body: bytes, status: int = 200, **headers: str) -> Outcome:
    return Outcome(status, {name.replace("_", "-"): value for name, value in headers.items()}, body)


def _packed(body: bytes, encoding: bytes) -> bytes:
    return b"HTTP/1.1 200 OK\r\ncontent-encoding: %b\r\ncontent-length: %d\r\n\r\n" % (encoding, len(body)) + body


def _raw_deflate(data: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return packer.compress(data) + packer.flush()


GOOD: dict[str, Answer] = {
    "content_length": Answer(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", _ok(b"hello", content_length="5")),
    "empty": Answer(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", _ok(b"", content_length="0")),
    "no_content": Answer(b"HTTP/1.1 204 No Content\r\nx-a: 1\r\n\r\n", _ok(b"", 204, x_a="1")),
    "not_modified": Answer(
        b"HTTP/1.1 304 Not Modified\r\nContent-Length: 10\r\n\r\n", _ok(b"", 304, content_length="10")
    ),
    "chunked": Answer(
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n",
        _ok(b"hello world", transfer_encoding="chunked"),
    ),
    "chunk_extensions": Answer(
        b'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5;a=b;c="d"\r\nhello\r\n0;x\r\n\r\n',
        _ok(b"hello", transfer_encoding="chunked"),
    ),
    "trailers": Answer(
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nab\r\n0\r\nx-trailer: 1\r\nx-other: 2\r\n\r\n",
        _ok(b"ab", transfer_encoding="chunked"),
    ),
    "events": Answer(
        b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
        b"%x\r\n%b\r\n0\r\n\r\n" % (len(EVENTS), EVENTS),
        _ok(EVENTS, content_type="text/event-stream", transfer_encoding="chunked"),
    ),
    "continue": Answer(
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok", _ok(b"ok", content_length="2")
    ),
    "early_hints": Answer(
        b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n"
        b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok",
        _ok(b"ok", content_length="2"),
    ),
    "repeated_header": Answer(
        b"HTTP/1.1 200 OK\r\nX-A: 1\r\nx-a: 2\r\ncontent-length: 1\r\n\r\nz", _ok(b"z", x_a="2", content_length="1")
    ),
    "connection_close": Answer(
        b"HTTP/1.1 200 OK\r\nConnection: close\r\ncontent-length: 2\r\n\r\nok",
        _ok(b"ok", connection="close", content_length="2"),
        closes=True,
        reusable=False,
    ),
    "http_1_0": Answer(
        b"HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\nok", _ok(b"ok", content_length="2"), closes=True, reusable=False
    ),
    "until_close": Answer(b"HTTP/1.1 200 OK\r\nx-a: 1\r\n\r\nall of it", _ok(b"all of it", x_a="1"), closes=True),
    "error_status": Answer(
        b"HTTP/1.1 429 Too Many Requests\r\nretry-after: 7\r\ncontent-length: 2\r\n\r\n{}",
        _ok(b"{}", 429, retry_after="7", content_length="2"),
    ),
    "redirect_is_not_followed": Answer(
        b"HTTP/1.1 302 Found\r\nlocation: http://169.254.169.254/\r\ncontent-length: 0\r\n\r\n",
        _ok(b"", 302, location="http://169.254.169.254/", content_length="0"),
    ),
    "head": Answer(b"HTTP/1.1 200 OK\r\ncontent-length: 500\r\n\r\n", _ok(b"", content_length="500"), method="HEAD"),
    "gzip": Answer(_packed(gzip.compress(EVENTS, mtime=0), b"gzip"), _ok(EVENTS)),
    "gzip_members": Answer(_packed(gzip.compress(b"a", mtime=0) + gzip.compress(b"b", mtime=0), b"gzip"), _ok(b"ab")),
    "deflate": Answer(_packed(zlib.compress(EVENTS), b"deflate"), _ok(EVENTS)),
    "raw_deflate": Answer(_packed(_raw_deflate(EVENTS), b"deflate"), _ok(EVENTS)),
    "identity": Answer(
        b"HTTP/1.1 200 OK\r\ncontent-encoding: identity\r\ncontent-length: 2\r\n\r\nok",
        _ok(b"ok", content_encoding="identity", content_length="2"),
    ),
}


def _bad(wire: bytes, error: str, *, closes: bool = True) -> Answer:
    return Answer(wire, Outcome(error=error), closes=closes, reusable=False)


BAD: dict[str, Answer] = {
    "closed_without_answer": _bad(b"", "ConnectFailed"),
    "closed_inside_head": _bad(b"HTTP/1.1 200 OK\r\ncontent-le", "StreamTruncated"),
    "short_body": _bad(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhello", "StreamTruncated"),
    "no_last_chunk": _bad(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n", "StreamTruncated"),
    "inside_chunk": _bad(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n9\r\nhello", "StreamTruncated"),
    "inside_last_chunk": _bad(
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n", "StreamTruncated"
    ),
    "not_http": _bad(b"SSH-2.0-OpenSSH_9.6\r\n\r\n", "BadAnswer", closes=False),
    "html_without_head": _bad(b"<html>oops</html>\r\n\r\n", "BadAnswer", closes=False),
    "bad_status": _bad(b"HTTP/1.1 2x0 OK\r\n\r\n", "BadAnswer", closes=False),
    "bad_header": _bad(b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n", "BadAnswer", closes=False),
    "two_framings": _bad(
        b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
        "BadAnswer",
        closes=False,
    ),
    "two_lengths": _bad(
        b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\nhello!", "BadAnswer", closes=False
    ),
    "negative_length": _bad(b"HTTP/1.1 200 OK\r\ncontent-length: -5\r\n\r\nhello", "BadAnswer", closes=False),
    "bad_chunk_size": _bad(
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\nhello\r\n", "BadAnswer", closes=False
    ),
    "chunk_too_long": _bad(
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhello\r\n0\r\n\r\n", "BadAnswer", closes=False
    ),
    "switched_protocols": _bad(
        b"HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n", "BadAnswer", closes=False
    ),
    "unknown_encoding": _bad(_packed(b"xxxx", b"br"), "BadAnswer", closes=False),
    "unknown_transfer_encoding": _bad(
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: gzip, chunked\r\n\r\n1\r\na\r\n0\r\n\r\n", "BadAnswer", closes=False
    ),
    "broken_gzip": _bad(_packed(b"not gzip at all", b"gzip"), "BadAnswer", closes=False),
    "short_gzip": _bad(_packed(gzip.compress(EVENTS, mtime=0)[:-9], b"gzip"), "StreamTruncated", closes=False),
    "surplus_after_gzip": _bad(_packed(gzip.compress(b"a", mtime=0) + b"tail", b"gzip"), "BadAnswer", closes=False),
    "huge_header": _bad(b"HTTP/1.1 200 OK\r\nx-a: " + b"a" * 80_000 + b"\r\n\r\n", "BadAnswer", closes=False),
    "endless_header": _bad(b"HTTP/1.1 200 OK\r\nx-a: " + b"a" * 80_000, "BadAnswer", closes=False),
}
