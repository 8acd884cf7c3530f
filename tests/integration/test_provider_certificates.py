"""A provider's certificate is verified: expired or for another host, nothing is sent."""

import ssl
from datetime import UTC, datetime
from pathlib import Path

import pytest
import trustme

from fakes.faulty_gateway import faulty_gateway
from fakes.provider import Script, ScriptedProvider
from fakes.provider_faults import Fault, check_error
from regulars.model.generation import Outcome

EXPIRED = (datetime(2020, 1, 1, tzinfo=UTC), datetime(2020, 1, 2, tzinfo=UTC))
NOW = (datetime(2020, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC))


@pytest.mark.parametrize(
    ("host", "validity", "words"),
    [
        ("localhost", NOW, None),
        ("localhost", EXPIRED, "expired"),
        ("other.example", NOW, "ostname mismatch"),
    ],
    ids=["good", "expired", "of-another-host"],
)
def test_certificates_are_verified(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    host: str,
    validity: tuple[datetime, datetime],
    words: str | None,
) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "authority.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "authority.pem"))
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    begin, end = validity
    authority.issue_cert(host, not_before=begin, not_after=end).configure_cert(tls)
    with (
        ScriptedProvider(tls=tls, host_name="localhost") as provider,
        faulty_gateway(tmp_path, provider, names=["tls"]) as faulty,
    ):
        for stream in (False, True):
            seen = faulty.meet("tls", Script(), stream=stream)

            if words is None:
                assert (seen.answer.status, seen.row.outcome) == (200, Outcome.COMPLETED)
            else:
                check_error(seen, Fault(Script(), words=words))
        assert len(provider.requests) == (2 if words is None else 0)
