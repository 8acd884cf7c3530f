from dataclasses import asdict

from regulars.config import schema
from regulars.config.settings import (
    LedgerSettings,
    RoutingSettings,
    ServerSettings,
    UpstreamSettings,
)
from regulars.model.catalog import Timeouts


def test_the_defaults_of_file_and_program_agree() -> None:
    file = schema.File()

    assert file.server.model_dump() == asdict(ServerSettings())
    assert file.ledger.model_dump() == asdict(LedgerSettings())
    assert file.routing.model_dump() == asdict(RoutingSettings())
    upstream = file.upstream.model_dump()
    times = {
        name.replace("_timeout", ""): upstream.pop(name) for name in schema.TimesTable.model_fields
    }
    assert upstream == asdict(UpstreamSettings())
    assert times == asdict(Timeouts())


def test_the_json_schema_refuses_unknown_keys_and_describes_the_known() -> None:
    document = schema.json_schema()

    server = document["$defs"]["ServerTable"]
    assert document["additionalProperties"] is False
    assert server["additionalProperties"] is False
    assert server["properties"]["port"]["maximum"] == 65_535
    assert all("description" in value for value in server["properties"].values())
