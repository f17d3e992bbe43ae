"""What the pool of connections says each time it fails to make one. The error it raises only says how long it tried."""

import logging


class LastWord(logging.Handler):
    said = ""

    def emit(self, record: logging.LogRecord) -> None:
        # It also says when it begins anew, without the cause.
        if (message := record.getMessage()).startswith("error connecting"):
            self.said = message


POOL = LastWord()


def keep_to_the_last() -> None:
    """For commands: the cause is told once, at the end. A server's own logging takes this away again."""
    pool = logging.getLogger("psycopg.pool")
    pool.addHandler(POOL)
    pool.propagate = False


def cause(error: BaseException) -> str:
    """Of `error connecting in 'pool-1': connection failed: …` what comes last, where the pool gave up; else the error's own
    words."""
    gave_up = "get a connection" in str(error)
    return (POOL.said.partition("': ")[2].partition("\n")[0] if gave_up else "") or str(error)
