"""What schemathesis thinks of from our OpenAPI document, sent to the running gateway.

Every operation is asked with what its description allows and with what it does not: no answer may
be a crash or of another form than described.
"""

from collections.abc import Generator
from time import time
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from schemathesis.checks import (
    content_type_conformance,
    not_a_server_error,
    response_schema_conformance,
    status_code_conformance,
)
from schemathesis.core.result import Ok
from schemathesis.generation import GenerationMode

from fakes.provider import ScriptedProvider
from fakes.running_gateway import RunningGateway, running_gateway
from fakes.sample_ledger import sample_keys, sample_rows
from regulars.http.openapi import document
from regulars.stores.sqlite import open_store

EXAMPLES = 10
ANSWER_MAX_S = 20.0
CHECKS: list[Any] = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]
SCHEMA = schemathesis.openapi.from_dict(document())
OPERATIONS = {
    f"{found.ok().method.upper()} {found.ok().path}": found.ok()
    for found in SCHEMA.get_all_operations()
    if isinstance(found, Ok)
}
SLOW = [HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Generator[RunningGateway]:
    folder = tmp_path_factory.mktemp("fuzz")
    with ScriptedProvider() as provider, running_gateway(folder, [provider]) as gateway:
        store = open_store(gateway.settings.store.url)
        for key in sample_keys():
            store.create_key(key)
        store.append(sample_rows(time(), days=5, count=60))
        store.close()
        yield gateway


ASKED = [
    pytest.param(name, mode, id=f"{name} {mode.value}")
    for name, operation in OPERATIONS.items()
    for mode in GenerationMode
    # Nothing is wrong to say where nothing is asked for.
    if mode is GenerationMode.POSITIVE or operation.query or operation.body
]


@pytest.mark.parametrize(("name", "mode"), ASKED)
def test_no_request_makes_an_answer_that_is_not_described(
    site: RunningGateway, name: str, mode: GenerationMode
) -> None:
    inference = name.endswith(("/chat/completions", "/messages", "/responses"))
    key = site.key if inference else site.management_key

    @seed(1)
    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=SLOW,
    )
    @given(data=st.data())
    def ask(data: st.DataObject) -> None:
        case = data.draw(OPERATIONS[name].as_strategy(generation_mode=mode))
        case.call_and_validate(
            base_url=f"{site.url}/api/v1",
            headers={"Authorization": f"Bearer {key}"},
            checks=CHECKS,
            timeout=ANSWER_MAX_S,
        )

    ask()
