"""`regulars simulate`: replays a trace through the router and prints what it came to."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from regulars.cli.options import failed

if TYPE_CHECKING:
    from collections.abc import Iterable

    from regulars.simulate.plan import Outage, Plan, Policy
    from regulars.simulate.trace import Request

SHOWN_DIGITS: Final = 6
_ACCOUNTS: Final = "accounts"


def simulate(
    trace: Annotated[
        Path | None, typer.Argument(metavar="TRACE", help="JSON lines, plain or gzip.")
    ] = None,
    *,
    endpoints: Annotated[int, typer.Option(min=1, max=1000, help="How many there are.")] = 8,
    weights: Annotated[
        str | None, typer.Option(metavar="W,W,…", help="Capacity of each; else all alike.")
    ] = None,
    ttl: Annotated[float, typer.Option(min=0.0, help="Life of an idle cache, seconds.")] = 300.0,
    learn_ttl: Annotated[
        bool, typer.Option("--learn-ttl", help="Don't tell the router how long that is.")
    ] = False,
    lru_blocks: Annotated[
        int | None, typer.Option(min=1, help="Blocks an endpoint's cache holds; else any number.")
    ] = None,
    nodes: Annotated[int, typer.Option(min=1, max=256, help="Gateways side by side.")] = 1,
    share_delay: Annotated[
        float, typer.Option(min=0.0, help="Seconds until they hear of each other.")
    ] = 1.0,
    unshared: Annotated[
        bool, typer.Option("--unshared", help="They never hear of each other.")
    ] = False,
    policy: Annotated[str, typer.Option(help="warm, random or hrw.")] = "warm",
    outage: Annotated[
        list[str] | None,
        typer.Option(metavar="E:FROM:TO", help="Endpoint E (from 0) is away; repeatable."),
    ] = None,
    add: Annotated[
        list[float] | None,
        typer.Option(metavar="AT", help="One more endpoint from then on; repeatable."),
    ] = None,
    seed: Annotated[int, typer.Option(help="Of all chance in the replay.")] = 0,
    convert_mooncake: Annotated[
        tuple[Path, Path] | None,
        typer.Option(metavar="IN OUT", help="Convert a Mooncake trace instead (OUT.gz: packed)."),
    ] = None,
    overlay: Annotated[
        str | None, typer.Option(help="With --convert-mooncake: accounts, see --rates.")
    ] = None,
    rates: Annotated[
        Path | None, typer.Option(help="ServeGen's client rates, by which accounts are dealt.")
    ] = None,
) -> None:
    """Replay a trace through the router and print JSON.

    Times are as in the trace. Imbalance is the highest endpoint's cost over the mean; shares
    of moves are of requests whose conversation was warm somewhere.
    """
    from regulars.simulate.plan import Plan, PlanError
    from regulars.simulate.trace import TraceError

    try:
        if convert_mooncake is not None:
            if trace is not None:
                raise typer.BadParameter(
                    "give either TRACE or --convert-mooncake", param_hint="TRACE"
                )
            _convert(*convert_mooncake, overlay=overlay, rates=rates)
            return
        if trace is None:
            raise typer.BadParameter("name a trace to replay", param_hint="TRACE")
        if overlay is not None or rates is not None:
            raise typer.BadParameter(
                "belongs to --convert-mooncake", param_hint="--overlay, --rates"
            )
        plan = Plan(
            endpoints=endpoints,
            weights=_weights(weights),
            ttl_s=ttl,
            ttl_is_known=not learn_ttl,
            lru_blocks=lru_blocks,
            nodes=nodes,
            share_delay_s=None if unshared else share_delay,
            policy=_policy(policy),
            outages=tuple(_outage(text) for text in outage or ()),
            added_s=tuple(sorted(add or ())),
            seed=seed,
        )
        _replay(trace, plan)
    except PlanError as error:
        raise typer.BadParameter(str(error)) from error
    except TraceError as error:
        raise failed(str(error)) from error


def _replay(trace: Path, plan: "Plan") -> None:
    from dataclasses import asdict
    from time import perf_counter

    from regulars.simulate.replay import replay
    from regulars.simulate.trace import read_trace

    outcome = asdict(replay(read_trace(trace), plan, perf_counter))
    typer.echo(json.dumps({key: _rounded(value) for key, value in outcome.items()}, indent=2))


def _rounded(value: object) -> object:
    if isinstance(value, float):
        return round(value, SHOWN_DIGITS)
    if isinstance(value, dict):
        return {key: _rounded(part) for key, part in value.items()}
    return value


def _convert(source: Path, target: Path, *, overlay: str | None, rates: Path | None) -> None:
    from regulars.simulate.accounts import deal, read_shares
    from regulars.simulate.mooncake import convert

    requests: Iterable[Request] = convert(source)
    if overlay is not None or rates is not None:
        if overlay != _ACCOUNTS or rates is None:
            raise typer.BadParameter(
                f"{overlay!r}: an overlay is `--overlay accounts --rates FILE`",
                param_hint="--overlay",
            )
        requests = deal(requests, read_shares(rates))
    _write(requests, target)


def _write(requests: "Iterable[Request]", target: Path) -> None:
    import gzip

    import msgspec

    encode = msgspec.json.Encoder().encode
    try:
        with gzip.open(target, "wb") if target.suffix == ".gz" else target.open("wb") as file:
            for request in requests:
                file.write(encode(request) + b"\n")
    except OSError as error:
        raise failed(f"{target}: cannot be written: {error.strerror}") from error


def _weights(text: str | None) -> tuple[float, ...]:
    if text is None:
        return ()
    try:
        weights = tuple(float(part) for part in text.split(","))
    except ValueError as error:
        raise typer.BadParameter(
            f"{text!r} is no list of numbers; write it like 1,1,2", param_hint="--weights"
        ) from error
    if not all(0 < weight < float("inf") for weight in weights):
        raise typer.BadParameter(f"{text!r}: every weight must be above 0", param_hint="--weights")
    return weights


def _policy(text: str) -> "Policy":
    from regulars.simulate.plan import Policy

    try:
        return Policy(text)
    except ValueError as error:
        known = ", ".join(policy.value for policy in Policy)
        raise typer.BadParameter(f"{text!r}: use one of {known}", param_hint="--policy") from error


def _outage(text: str) -> "Outage":
    from regulars.simulate.plan import Outage

    try:
        endpoint, start, end = text.split(":")
        outage = Outage(int(endpoint.removeprefix("endpoint-")), float(start), float(end))
    except ValueError as error:
        raise typer.BadParameter(
            f"{text!r}: write it like 3:600:900", param_hint="--outage"
        ) from error
    if outage.endpoint < 0 or not outage.from_s < outage.to_s:
        raise typer.BadParameter(
            f"{text!r}: endpoints count from 0, and an outage ends after it begins",
            param_hint="--outage",
        )
    return outage
