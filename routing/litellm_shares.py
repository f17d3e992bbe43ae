"""How LiteLLM's simple-shuffle divides the calls of a name, said with weights and priorities. Pure.

The first of weight, rpm and tpm that any deployment of the name has is its share; those without it get calls only when
all others are out, which is what a later priority does.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

_METRICS: Final = ("weight", "rpm", "tpm")
_FINEST: Final = 1000


def share_out(public: str, members: Sequence[tuple[dict[str, Any], Mapping[str, Any]]], notes: list[str]) -> None:
    """Gives each model of that name its weight, or a later priority."""
    for metric in ("rpm", "tpm"):
        if any(params.get(metric) is not None for _, params in members):
            notes.append(f"{public}: {metric} is no limit per model here; without weights it is the share of calls")
    for metric in _METRICS:
        shares = [_share(params.get(metric)) for _, params in members]
        if len(shares) > 1 and max(shares) > 0:
            _divide(members, shares)
            return


def _share(value: Any) -> float:
    usable = isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value) and value > 0
    return float(value) if usable else 0.0


def _divide(members: Sequence[tuple[dict[str, Any], Mapping[str, Any]]], shares: Sequence[float]) -> None:
    scale = next((scale for scale in (1, 10, 100) if all((share * scale).is_integer() for share in shares)), _FINEST)
    last = max(model.get("priority", 1) for model, _ in members)
    for (model, _), share in zip(members, shares, strict=True):
        if share:
            model["weight"] = max(1, round(share * scale))
        else:
            model["priority"] = last + 1
