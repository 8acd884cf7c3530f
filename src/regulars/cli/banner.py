"""What `regulars serve` says once it is ready: where, what, and the keys just made."""

from collections.abc import Sequence
from typing import Final

from regulars import __version__
from regulars.model.catalog import Catalog

MODELS_SHOWN_MAX: Final = 8


def banner(
    *,
    address: str,
    catalog: Catalog,
    where: str,
    created: Sequence[tuple[str, str]],
    login: str,
    recording: bool = True,
) -> str:
    """Write the banner; every line stands alone, so that a program can pick from it."""
    names = sorted({endpoint.provider.name for endpoint in catalog.endpoints})
    rows = [
        ("address", f"{address}/api/v1"),
        ("providers", f"{', '.join(names)} ({where})"),
        ("models", _models(catalog)),
    ]
    if not recording:
        rows.append(("ledger", "OFF: nothing is recorded ([ledger] enabled is false)"))
    if created:
        rows += [(f"{name} key", f"{secret}  (shown once)") for name, secret in created]
    else:
        rows.append(("keys", "exist; another: regulars keys create --name NAME"))
    rows.append(("activity", f"{address}{login}"))
    width = max(len(name) for name, _ in rows)
    lines = [f"  {name:<{width}}  {value}" for name, value in rows]
    return "\n".join([f"Regulars {__version__} is ready. Ctrl-C stops it.", *lines])


def _models(catalog: Catalog) -> str:
    shown = [
        f"{model.id} ({len(model.endpoints)})" if len(model.endpoints) > 1 else model.id
        for model in list(catalog.models.values())[:MODELS_SHOWN_MAX]
    ]
    more = len(catalog.models) - len(shown)
    return ", ".join(shown) + (f" and {more} more" if more else "")
