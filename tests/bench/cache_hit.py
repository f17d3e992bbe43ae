"""What an answer from the response cache costs, against the bare relay that asks the upstream each time, in one run.

    python -m tests.bench.cache_hit [--seconds 4] [--rounds 3]

The same body over and over, so that all but the first are hits; that they were is read from the response header.
"""

import argparse
import statistics
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

from tests.bench.compare import BODIES, Contender, measure, program
from tests.bench.streams import started_gateway, started_relay
from tests.e2e.gateway_process import GatewayProcess, free_port


def assert_hits(contender: Contender) -> None:
    asked = GatewayProcess(Path("/tmp"))
    asked.url, asked.key = f"http://127.0.0.1:{contender.port}", contender.key
    for body in BODIES.values():
        asked.post("/v1/chat/completions", body.encode())
        state = asked.post("/v1/chat/completions", body.encode())[1]["x-llm-proxy-cache"]
        if state != "hit":
            raise SystemExit(f"not a hit but a {state}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        upstream = free_port()
        command = [sys.executable, "-m", "tests.bench.upstream", str(upstream), "50"]
        stack.enter_context(program(command, upstream, core=1))
        settings = {"response_cache": {"enabled": True, "ttl": 3600}}
        found = [started_relay(stack, upstream), started_gateway(stack, Path(name) / "data", upstream, settings)]
        assert_hits(found[1])
        for kind in BODIES:
            costs: dict[str, list[float]] = {}
            for _ in range(options.rounds):
                for contender in found:
                    run = measure(contender, kind, 32, options.seconds, Path(name))
                    costs.setdefault(contender.name, []).append(run.cpu_us)
            relay, hit = (statistics.median(costs[contender.name]) for contender in found)
            print(f"{kind}: relay {relay:.0f} µs, cache hit {hit:.0f} µs: {hit / relay:.2f} ×", flush=True)


if __name__ == "__main__":
    main()
