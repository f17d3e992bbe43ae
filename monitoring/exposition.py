"""Numbers as Prometheus' text format 0.0.4 (https://prometheus.io/docs/instrumenting/exposition_formats/). Pure.

Written here rather than through prometheus_client because a scrape of a thousand providers is 50,000 lines: objects for
each sample take ten times as long.
"""

import math
from collections.abc import Iterator, Mapping, Sequence

from monitoring.metric_names import METRICS, MetricSpec

Numbers = Mapping[tuple[str, ...], Sequence[float]]


def exposition(numbers: Numbers) -> bytes:
    """`numbers` by key: the metric's name, its label values, and for histograms the bucket; one number a worker.

    NaN means that a worker has nothing to say. Names that are not ours are left out.
    """
    grouped: dict[str, dict[tuple[str, ...], float]] = {}
    across = {metric.name: metric.across for metric in METRICS}
    for key, each in numbers.items():
        metric = across.get(key[0])
        known = [number for number in each if not math.isnan(number)]
        if metric is not None and known:
            grouped.setdefault(key[0], {})[key[1:]] = metric(known)
    lines: list[str] = []
    for spec in METRICS:
        lines.append(f"# HELP {spec.name} {spec.help}")
        lines.append(f"# TYPE {spec.name} {spec.kind}")
        series = grouped.get(spec.name, {})
        lines.extend(_histograms(spec, series) if spec.kind == "histogram" else _plain(spec, series))
    return ("\n".join(lines) + "\n").encode()


def _plain(spec: MetricSpec, series: Mapping[tuple[str, ...], float]) -> Iterator[str]:
    if not spec.labels and not series:
        yield f"{spec.name} 0"
    for values, number in sorted(series.items()):
        yield f"{spec.name}{_labels(spec.labels, values)} {_number(number)}"


def _histograms(spec: MetricSpec, series: Mapping[tuple[str, ...], float]) -> Iterator[str]:
    by_labels: dict[tuple[str, ...], dict[str, float]] = {}
    for key, number in series.items():
        by_labels.setdefault(key[:-1], {})[key[-1]] = number
    for values, parts in sorted(by_labels.items()):
        total = sum(number for bound, number in parts.items() if bound != "sum")
        # A series begins with its first observation, not when room is made for it.
        if total:
            yield from _histogram(spec, values, parts, total)


def _histogram(spec: MetricSpec, values: tuple[str, ...], parts: Mapping[str, float], total: float) -> Iterator[str]:
    inside = _labels(spec.labels, values)[1:-1]
    prefix = f"{inside}," if inside else ""
    below = 0.0
    for bound in spec.buckets:
        below += parts.get(repr(bound), 0.0)
        yield f'{spec.name}_bucket{{{prefix}le="{bound!r}"}} {_number(below)}'
    yield f'{spec.name}_bucket{{{prefix}le="+Inf"}} {_number(total)}'
    labels = f"{{{inside}}}" if inside else ""
    yield f"{spec.name}_sum{labels} {_number(parts.get('sum', 0.0))}"
    yield f"{spec.name}_count{labels} {_number(total)}"


def _labels(names: Sequence[str], values: Sequence[str]) -> str:
    if not names:
        return ""
    pairs = (f'{name}="{_escaped(value)}"' for name, value in zip(names, values, strict=True))
    return "{" + ",".join(pairs) + "}"


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')


def _number(number: float) -> str:
    return str(int(number)) if number.is_integer() else repr(number)
