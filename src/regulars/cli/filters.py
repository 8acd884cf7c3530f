"""The filters that commands about requests share, as parameters of the HTTP API."""

from typing import Annotated

import typer

from regulars.cli.since import begin

UserOption = Annotated[str | None, typer.Option("--user", help="Only this end user.")]
ModelOption = Annotated[str | None, typer.Option("--model", help="Only this model.")]
ProviderOption = Annotated[str | None, typer.Option("--provider", help="Only this provider.")]
KeyOption = Annotated[
    str | None, typer.Option("--key", metavar="HASH", help="Only this API key, by its hash.")
]
FromOption = Annotated[
    str | None, typer.Option("--from", metavar="TIME", help="A date or an ISO time.")
]
ToOption = Annotated[
    str | None, typer.Option("--to", metavar="TIME", help="A date (that day included) or a time.")
]
ZoneOption = Annotated[
    str, typer.Option("--time-zone", metavar="ZONE", help="Of dates, like Europe/Berlin.")
]


def params(**values: str | None) -> dict[str, str]:
    """Name what was given as the HTTP API does; `since` and `from_` both say where to begin."""
    since, from_ = values.pop("since", None), values.pop("from_", None)
    if since is not None and from_ is not None:
        raise typer.BadParameter("--since and --from both say where to begin; give one")
    found = {name: value for name, value in values.items() if value is not None}
    if since is not None:
        found["from"] = begin(since)
    elif from_ is not None:
        found["from"] = from_
    return found
