"""More requests than the gateway takes: refused at once, and nobody else notices."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from fakes.provider import Script, ScriptedProvider
from fakes.raw_client import CHAT, RawClient, chat_request, request_of
from fakes.running_gateway import Answer, RunningGateway, running_gateway
from regulars.app import new_key
from regulars.config.settings import ServerSettings
from regulars.model.caller import Role
from regulars.model.generation import Outcome
from regulars.stores.sqlite import open_store

REFUSED_WITHIN_S = 1.0
"""Far below what an answer takes here, far above what a busy machine adds."""


def another_key(gateway: RunningGateway) -> str:
    key, secret = new_key("another", Role.INFERENCE)
    store = open_store(gateway.settings.store.url)
    store.create_key(key)
    store.close()
    return secret


def test_one_key_cannot_take_all_places(tmp_path: Path) -> None:
    server = ServerSettings(drain_timeout_s=5.0, in_flight_max=10, in_flight_per_key_max=2)
    with (
        ScriptedProvider(default=Script(head_delay_s=30.0)) as provider,
        running_gateway(tmp_path, [provider], server=server) as gateway,
    ):
        other = another_key(gateway)
        with RawClient(gateway.port) as one, RawClient(gateway.port) as two:
            for client in (one, two):
                client.send(chat_request(gateway, user="greedy"))
            provider.wait_until(lambda: len(provider.requests) == 2)
            provider.default = Script()
            refused = gateway.chat(user="greedy")
            body = chat_request(gateway).partition(b"\r\n\r\n")[2]
            served = gateway.request("POST", CHAT, body, key=other)
        gateway.wait_for_rows(3)
        again = gateway.chat(user="greedy")

    assert refused.status == 503
    assert refused.headers["retry-after"] == "1"
    assert "in_flight_per_key_max" in refused.json["error"]["message"]
    assert served.status == 200
    assert again.status == 200


def test_a_request_whose_body_is_still_coming_takes_a_place(tmp_path: Path) -> None:
    server = ServerSettings(drain_timeout_s=5.0, in_flight_max=1)
    with (
        ScriptedProvider() as provider,
        running_gateway(tmp_path, [provider], server=server) as gateway,
    ):
        request = chat_request(gateway, "Expect: 100-continue", user="slow")
        head, mark, body = request.partition(b"\r\n\r\n")
        with RawClient(gateway.port) as client:
            client.send(head + mark)
            leave = client.read_answer()  # by now it has been let in
            refused = gateway.chat(user="quick")
            client.send(body)
            served = client.read_answer()
        later = gateway.chat(user="quick")

    assert leave is not None
    assert leave.status == 100
    assert refused.status == 503
    assert served is not None
    assert served.status == 200
    assert later.status == 200


def test_places_are_given_back_however_a_request_ends(tmp_path: Path) -> None:
    server = ServerSettings(drain_timeout_s=5.0, in_flight_max=1, body_timeout_s=0.3)
    with (
        ScriptedProvider() as provider,
        running_gateway(tmp_path, [provider], server=server) as gateway,
    ):
        auth = f"Authorization: Bearer {gateway.key}"
        for bad in (
            request_of("POST", CHAT, auth, body=b"{"),
            request_of("POST", CHAT, auth, body=b'{"model":"no","messages":[{}]}'),
            request_of("POST", CHAT, auth, body=b"x", length=5),
            request_of("POST", CHAT, auth, length=99_999_999),
        ):
            with RawClient(gateway.port) as client:
                client.send(bad)
                client.read_answer()
        provider.enqueue(Script(reset_after=0), Script(head_delay_s=30.0))
        failed = gateway.chat(user="u")
        with RawClient(gateway.port) as client:
            client.send(chat_request(gateway, user="u"))
            provider.wait_until(lambda: len(provider.requests) == 2)
        gateway.wait_for_rows(2)

        assert failed.status == 502
        assert gateway.chat(user="u").status == 200


@dataclass(slots=True)
class Crowd:
    """Clients that ask again and again until told to stop."""

    gateway: RunningGateway
    stop: threading.Event = field(default_factory=threading.Event)
    answers: list[tuple[Answer, float]] = field(default_factory=list[tuple[Answer, float]])

    def keep_asking(self) -> None:
        while not self.stop.is_set():
            began = time.monotonic()
            answer = self.gateway.chat(user="crowd")
            self.answers.append((answer, time.monotonic() - began))
            if answer.status == 503:
                self.stop.wait(0.02)


def test_under_three_times_the_load_health_and_open_streams_live_on(tmp_path: Path) -> None:
    server = ServerSettings(drain_timeout_s=5.0, in_flight_max=8)
    with (
        ScriptedProvider(default=Script(head_delay_s=0.5)) as provider,
        running_gateway(tmp_path, [provider], server=server) as gateway,
        ThreadPoolExecutor(24) as pool,
    ):
        provider.enqueue(Script(chunks=20, chunk_delay_s=0.1))
        crowd = Crowd(gateway)
        with RawClient(gateway.port) as streaming:
            streaming.send(chat_request(gateway, user="streaming", stream=True))
            provider.wait_until(lambda: len(provider.requests) == 1)
            for _ in range(24):
                pool.submit(crowd.keep_asking)
            health: list[float] = []
            for _ in range(15):
                began = time.monotonic()
                assert gateway.get("/healthz").status == 200
                assert gateway.get("/readyz").status == 200
                health.append(time.monotonic() - began)
                time.sleep(0.1)
            stream = streaming.read_answer()
        crowd.stop.set()
        pool.shutdown()
        rows = gateway.rows()

    refusals = sorted(took for answer, took in crowd.answers if answer.status == 503)
    served = [answer for answer, _ in crowd.answers if answer.status == 200]
    assert stream is not None
    assert stream.data[-1] == "[DONE]"
    assert len(refusals) > len(served) > 8
    assert {answer.status for answer, _ in crowd.answers} == {200, 503}
    assert refusals[len(refusals) // 2] < 0.25
    assert refusals[-1] < REFUSED_WITHIN_S
    assert max(health) < 2 * REFUSED_WITHIN_S
    assert all(
        answer.headers["retry-after"] == "1" for answer, _ in crowd.answers if answer.status == 503
    )
    # The refused ones were never accepted.
    assert len(rows) == len(served) + 1
    assert {row.outcome for row in rows} == {Outcome.COMPLETED}
