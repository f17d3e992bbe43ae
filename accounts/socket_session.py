"""Who stands behind the session that a WebSocket was opened with: asked again, because a socket outlives a logout."""

from collections.abc import Mapping
from typing import Any

from channels.auth import get_user


async def user_of_now(scope: Mapping[str, Any]) -> Any:
    """The user as the database has it; nobody, if the session ended, its user may no longer sign in, or the password is
    another one."""
    session = scope["session"]
    # What the handshake read of the session is kept in that object: a new one reads again.
    return await get_user({"session": session.__class__(session.session_key)})
