"""One generation's page: what happened, how long it took, what it cost."""

from dataclasses import dataclass
from typing import Final

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from regulars.model.generation import Attempt, Generation
from regulars.model.tokens import Usage
from regulars.stores.contents import Content
from regulars.web.access import Viewer
from regulars.web.charts import Span, waterfall
from regulars.web.names import key_name
from regulars.web.price_lines import price_lines
from regulars.web.reasons import COSTS, OUTCOMES
from regulars.web.site import Site

ID_CHARS_MAX: Final = 128


@dataclass(frozen=True, slots=True)
class TokenPart:
    """A part of the tokens: its name, how many, where it lies in the bar, its colour."""

    title: str
    count: int
    x: str
    width: str
    colour: str


async def generation_page(site: Site, request: Request, viewer: Viewer) -> Response:
    """Show the whole story of one request."""
    wanted = request.path_params["generation"]
    found = await run_in_threadpool(_ask, site, wanted) if len(wanted) <= ID_CHARS_MAX else None
    if found is None:
        return site.missing(viewer)
    generation, key_names, content = found
    return site.page(
        "generation.html",
        viewer=viewer,
        generation=generation,
        outcome_words=OUTCOMES[generation.outcome.value],
        cost_words=COSTS.get(generation.cost_source),
        key_name=key_name(generation.key_hash, key_names),
        attempts=_rows(generation),
        first_token=_first_token(generation),
        price_lines=price_lines(generation),
        content=content,
        token_parts=token_parts(generation.usage) if generation.usage else (),
    )


def token_parts(usage: Usage) -> tuple[TokenPart, ...]:
    """Split the tokens into parts that do not overlap and add up to the total."""
    cached = usage.cached_tokens or 0
    written = usage.cache_write_tokens or 0
    reasoning = usage.reasoning_tokens or 0
    counts = (
        ("Read from cache", cached, "warm"),
        ("Written to cache", written, "written"),
        ("Fresh prompt", usage.prompt_tokens - cached - written, "fresh"),
        ("Reasoning", reasoning, "reasoning"),
        ("Completion", usage.completion_tokens - reasoning, "answer"),
    )
    whole = max(1, usage.total_tokens)
    parts: list[TokenPart] = []
    done = 0
    for title, count, colour in counts:
        if count > 0:
            x, width = f"{done * 100 / whole:.2f}%", f"{count * 100 / whole:.2f}%"
            parts.append(TokenPart(title, count, x, width, colour))
            done += count
    return tuple(parts)


def _ask(site: Site, wanted: str) -> tuple[Generation, dict[str, str], Content | None] | None:
    generation = site.deps.reports.generation(wanted)
    if generation is None or generation.account != site.deps.account:
        return None
    key_names = {key.hash: key.name for key in site.deps.keys.list_keys()}
    content = site.deps.contents.content(wanted) if site.deps.keeps_content else None
    return generation, key_names, content


def _rows(generation: Generation) -> list[tuple[Attempt, Span]]:
    spans = waterfall(generation.attempts, generation.duration_ms)
    return list(zip(generation.attempts, spans, strict=True))


def _first_token(generation: Generation) -> str | None:
    if generation.ttft_ms is None or generation.duration_ms <= 0:
        return None
    return f"{min(100.0, generation.ttft_ms * 100 / generation.duration_ms):.2f}%"
