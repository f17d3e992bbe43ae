"""The demo's token estimate: one token is four bytes of UTF-8, rounded up. Pure."""

BYTES_PER_TOKEN = 4


def count_tokens(text: str) -> int:
    return -(-len(text.encode()) // BYTES_PER_TOKEN)


def cut(text: str, tokens: int) -> str:
    """The longest beginning of `text` that is at most `tokens` long and ends on a whole character."""
    return text.encode()[: tokens * BYTES_PER_TOKEN].decode(errors="ignore")


def pieces(text: str) -> list[str]:
    """`text` in pieces of one token each; a piece ends early rather than split a character."""
    found: list[str] = []
    piece, size = "", 0
    for character in text:
        width = len(character.encode())
        if size + width > BYTES_PER_TOKEN and piece:
            found.append(piece)
            piece, size = "", 0
        piece += character
        size += width
    if piece:
        found.append(piece)
    return found


def filled(text: str, tokens: int) -> str:
    """`text` cut or continued with numbered words, so that it is exactly `tokens` tokens long (plain ASCII filler)."""
    size = len(text.encode())
    wanted = tokens * BYTES_PER_TOKEN
    number = 0
    words: list[str] = []
    while size < wanted:
        number += 1
        word = f" word{number}"
        words.append(word)
        size += len(word)
    return cut(text + "".join(words), tokens)
