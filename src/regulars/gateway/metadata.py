"""`openrouter_metadata`: how one generation was routed, for clients that ask for it.

Source: openrouter-api.md section 1.7. `reason` and `endpoint` of an attempt are ours.
"""

from collections.abc import Sequence
from typing import Any

import msgspec

from regulars.model.generation import Attempt, Generation, Outcome
from regulars.routing.plan import Candidate, Plan
from regulars.wire.chat import ChatRequest


def openrouter_metadata(
    request: ChatRequest, candidates: Sequence[Candidate], plan: Plan | None, row: Generation
) -> bytes:
    """Render it as JSON. `plan` is None where the request was refused before there was one."""
    all_endpoints = [endpoint for one in candidates for endpoint in one.model.endpoints]
    models = {endpoint.id: endpoint.model for endpoint in all_endpoints}
    planned = () if plan is None else tuple(e for stage in plan.stages for e in stage.endpoints)
    answered = row.outcome is Outcome.COMPLETED
    return msgspec.json.encode(
        {
            "requested": request.model,
            "strategy": "fallback" if request.fallbacks else "direct",
            "region": None,
            "summary": _summary(row, available=len(planned)),
            "attempt": len(row.attempts),
            "is_byok": False,
            "endpoints": {
                "total": len(all_endpoints),
                "available": [
                    {
                        "provider": endpoint.provider.name,
                        "model": endpoint.model,
                        "selected": answered and endpoint.id == row.endpoint,
                    }
                    for endpoint in planned
                ],
            },
            "attempts": [_attempt(attempt, models) for attempt in row.attempts],
            **_times(row),
        }
    )


def _attempt(attempt: Attempt, models: dict[str, str]) -> dict[str, Any]:
    return {
        "provider": attempt.provider,
        "model": models[attempt.endpoint],
        # Clients want a number here: that of our own error where the provider sent none.
        "status": attempt.status or (504 if attempt.error == "timeout" else 502),
        "endpoint": attempt.endpoint,
        "reason": attempt.reason,
        "error": attempt.error,
    }


def _times(row: Generation) -> dict[str, int]:
    return {"generation_time": round(row.attempts[-1].duration_ms)} if row.attempts else {}


def _summary(row: Generation, *, available: int) -> str:
    tried = ", ".join(f"{one.provider}={one.reason}" for one in row.attempts) or "none"
    return f"available={available}, tried: {tried}"
