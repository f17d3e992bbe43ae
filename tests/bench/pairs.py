"""Whether a change makes a call cheaper, in CPU time, to one part in a hundred on a host whose speed moves by a fifth.

    python -m tests.bench.pairs [--against REVISION|relay] [--whole] [--stream] [--model claude-bench]
                                [--rounds 4] [--calls 1500]

The gateway's path of this working tree and that of another revision (HEAD by default) run at the same time on the same
core, so that whatever the host does it does to both. Each round takes both so many calls; the figure is the median over
the rounds of the ratio of their CPU times, with its quartiles. Clients are objects in the process, as in
`tests.bench.instructions`, so the kernel's part is that of the upstream's connections only. The two revisions must share
a database's schema, and what this takes from `tests.bench`. Needs git, and a second core for the upstream.

`--whole` lets both do all that a gateway does once a second as well, and book their calls: take enough `--calls` for some
seconds. `--against relay` compares with the bare relay instead, and the gateway is whole.
"""

import argparse
import gc
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from functools import partial
from pathlib import Path

import uvloop

from tests.bench.compare import pinned, program
from tests.bench.instructions import WARM_UP, gateway_protocol, load_of, relay_protocol, seeded
from tests.e2e.gateway_process import ROOT, GatewayProcess, free_port

STARTS = 6
"""Where a process happens to place its objects makes a difference too."""
REST_S = 0.1
"""Long enough that all finished calls are reported."""
ORDERS = ((0, 1), (1, 0))
"""In turn, because it matters who is started first, and who begins last has the core to itself at the end."""


async def inside(case: str, key: str, calls: int, kind: str, model: str, results: int) -> None:
    """For each line of input: so many calls, and the microseconds of CPU that one took."""
    if case == "relay":
        protocol = relay_protocol()
    else:
        protocol = await gateway_protocol(periodic=case == "whole gateway")
        gc.freeze()
    load = load_of(protocol, key, kind, model, REST_S)
    await load.run(10 * WARM_UP)
    os.write(results, b"ready\n")
    while sys.stdin.readline():
        began = time.process_time()
        await load.run(calls)
        spent = time.process_time() - began
        if load.bad:
            sys.stderr.write(f"{load.bad} calls failed\n")
            break
        os.write(results, b"%.3f\n" % (spent / calls * 1e6))
    # What began with the gateway need not end in order.
    os._exit(0)


class Side:
    """One revision's process, or the relay's."""

    def __init__(
        self, case: str, checkout: Path, gateway: GatewayProcess, key: str, options: argparse.Namespace
    ) -> None:
        reading, writing = os.pipe()
        kind = "stream" if options.stream else "chat"
        command = [
            sys.executable,
            __file__,
            "--inside",
            case,
            key,
            str(options.calls),
            kind,
            options.model,
            str(writing),
        ]
        self._process = subprocess.Popen(
            pinned(0, command),
            cwd=checkout,
            env={**gateway.env, "PYTHONPATH": str(checkout)},
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            pass_fds=[writing],
            text=True,
        )
        os.close(writing)
        self._results = os.fdopen(reading)
        self.result()

    def begin(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()

    def result(self) -> str:
        line = self._results.readline()
        if not line:
            raise SystemExit(f"{self._process.args!r} has died")
        return line

    def close(self) -> None:
        self._process.kill()
        self._process.wait()
        self._results.close()


@contextmanager
def checkout_of(revision: str, directory: Path) -> Iterator[Path]:
    git = ["git", "-C", str(ROOT), "worktree"]
    subprocess.run([*git, "add", "--quiet", "--detach", str(directory), revision], check=True)
    try:
        yield directory
    finally:
        subprocess.run([*git, "remove", "--force", str(directory)], check=True)


def pairs(starts: Sequence[Callable[[], Side]], rounds: int) -> Iterator[tuple[float, float]]:
    """The microseconds of a call on either side, in so many rounds of each start."""
    for turn in range(STARTS):
        with ExitStack() as stack:
            sides = {which: stack.enter_context(closing(starts[which]())) for which in ORDERS[turn % 2]}
            for number in range(rounds):
                for which in ORDERS[number % 2]:
                    sides[which].begin()
                yield float(sides[0].result()), float(sides[1].result())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--against", default="HEAD")
    parser.add_argument("--whole", action="store_true", help="with booking and all that is done once a second")
    parser.add_argument("--stream", action="store_true", help="streams of 54 events instead of whole answers")
    parser.add_argument("--model", default="gpt-4o", help="claude-bench is translated from Anthropic's dialect")
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--calls", type=int, default=1500)
    parser.add_argument("--inside", nargs=6, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.inside:
        case, key, calls, kind, model, results = options.inside
        uvloop.run(inside(case, key, int(calls), kind, model, int(results)))
        return
    upstream = free_port()
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        command = [sys.executable, "-m", "tests.bench.upstream", str(upstream), "50"]
        stack.enter_context(program(command, upstream, core=1))
        with_relay = options.against == "relay"
        ours = "whole gateway" if with_relay or options.whole else "gateway"
        cases = ("relay" if with_relay else ours, ours)
        other = ROOT if with_relay else stack.enter_context(checkout_of(options.against, Path(name) / "checkout"))
        os.environ["BENCH_UPSTREAM"] = f"http://127.0.0.1:{upstream}/v1/chat/completions"
        gateways = [seeded(Path(name) / f"data{number}", upstream) for number in range(2)]
        for title, limited in (("unlimited key", False), ("limited and budgeted key", True)):
            starts = [
                partial(Side, case, checkout, gateway, key if limited else gateway.key, options)
                for case, checkout, (gateway, key) in zip(cases, (other, ROOT), gateways, strict=True)
            ]
            found = list(pairs(starts, options.rounds))
            low, median, high = statistics.quantiles([after / before for before, after in found], n=4)
            was, now = (statistics.median(times) for times in zip(*found, strict=True))
            print(f"{title:26} {was:7.1f} µs → {now:7.1f} µs: {median:.3f} × ({low:.3f}–{high:.3f})", flush=True)


if __name__ == "__main__":
    main()
