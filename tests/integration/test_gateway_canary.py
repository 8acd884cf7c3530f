"""Keys, prompts and completions appear in no log, error, crash report, file or process title."""

import io
import json
import logging
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from fakes.faulty_gateway import UPSTREAM_KEY, faulty_gateway
from fakes.kept_files import kept
from fakes.provider import Script, ScriptedProvider, error_script
from fakes.raw_client import CHAT, RawClient, request_of
from fakes.running_gateway import MODEL, Answer, RunningGateway, catalog, running_gateway
from fakes.served_process import config_text, served_process
from regulars.cli.log import EventFormatter
from regulars.config.settings import ServerSettings
from regulars.model.catalog import Catalog, Model
from regulars.model.generation import Outcome

PROMPT = "canary-prompt-5d1c"
COMPLETION = "canary-completion-77ab"
SYSTEM = "canary-system-90fe"
ARGUMENT = "canary-argument-31d2"
USER = "canary-user-2f4e"
WORDS = (PROMPT, COMPLETION, SYSTEM, ARGUMENT, UPSTREAM_KEY)
MESSAGES = [
    {"role": "system", "content": SYSTEM},
    {"role": "user", "content": PROMPT},
    {
        "role": "assistant",
        "tool_calls": [{"function": {"name": "f", "arguments": json.dumps({"x": ARGUMENT})}}],
    },
]
SERVER = ServerSettings(drain_timeout_s=5.0, header_timeout_s=0.5, body_timeout_s=0.5)
ECHOED_KEY = f"Incorrect API key provided: Bearer {UPSTREAM_KEY}"
CHUNK = {
    "id": "c",
    "object": "chat.completion.chunk",
    "created": 1,
    "model": "tiny",
    "choices": [{"index": 0, "delta": {"content": COMPLETION}, "finish_reason": None}],
}
SCRIPTS = {
    "good": Script(text=COMPLETION),
    "no-usage": Script(text=COMPLETION, usage="missing"),
    "401-echoing-the-key": error_script(401, ECHOED_KEY),
    "400-html": Script(status=400, body=f"<p>{PROMPT}</p>".encode()),
    "500": Script(status=500, body=COMPLETION.encode()),
    "no-json": Script(body=f"{{{COMPLETION}".encode()),
    "no-http": Script(raw=COMPLETION.encode()),
    "bad-chunk": Script(
        raw=b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + COMPLETION.encode()
    ),
    "bad-header": Script(raw=f"HTTP/1.1 200 OK\r\n{COMPLETION}\r\n\r\n".encode()),
    "cut": Script(text=COMPLETION, close_after=400),
    "reset": Script(text=COMPLETION, reset_after=400),
    "stall": Script(text=COMPLETION, stall_after=400),
    "stream-broken": Script(events=[CHUNK, f"{{{COMPLETION}"], done=False),
    "stream-error": Script(events=[CHUNK, {"error": {"message": "no", "code": 500}}], done=False),
    "bad-usage": Script(body=json.dumps({"choices": [], "usage": COMPLETION}).encode()),
    "bad-choices": Script(body=json.dumps({"choices": [COMPLETION]}).encode()),
}


@contextmanager
def everything_logged() -> Generator[io.StringIO]:
    """Take every record of every logger, debug included, as our formatter writes it."""
    text = io.StringIO()
    handler = logging.StreamHandler(text)
    handler.setFormatter(EventFormatter())
    root = logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    try:
        yield text
    finally:
        root.setLevel(level)
        root.removeHandler(handler)


def found(text: str, *words: str) -> list[str]:
    return [word for word in words if word in text]


def files_under(folder: Path) -> str:
    return "\n".join(content.decode("latin-1") for content in kept(folder).values())


def ask(gateway: RunningGateway, *, stream: bool, model: str = MODEL) -> Answer:
    return gateway.chat(
        model=model, messages=MESSAGES, user=USER, stream=stream, stop=[PROMPT], made_up=ARGUMENT
    )


def bad_requests(gateway: RunningGateway) -> list[bytes]:
    auth = f"Authorization: Bearer {gateway.key}"
    message = f'{{"model":"{MODEL}","messages":[{{"role":"user","content":"{PROMPT}"}}]'
    bodies = [
        message,
        message + ',"stream":"' + PROMPT + '"}',
        message + ',"user":["' + PROMPT + '"]}',
        message + ',"provider":"' + PROMPT + '"}',
        message + ',"session_id":{"a":"' + PROMPT + '"}}',
        f'{{"model":"{MODEL}","messages":"{PROMPT}"}}',
        f'{{"model":"{MODEL}","messages":["{PROMPT}"]}}',
        f'{{"messages":[{{"content":"{PROMPT}"}}]}}',
        f"{PROMPT}",
        f'"{PROMPT}\\ud800"',
    ]
    return [
        *(request_of("POST", CHAT, auth, body=body.encode()) for body in bodies),
        request_of("POST", CHAT, auth, body=message.encode(), length=5_000),
        request_of("POST", CHAT, f"Authorization: Basic {PROMPT}", body=message.encode()),
        request_of("POST", CHAT, f"Authorization: Bearer {PROMPT}", body=message.encode()),
        request_of("POST", CHAT, auth, "Content-Encoding: gzip", body=message.encode()),
        f"POST {CHAT} HTTP/1.1\r\n{auth}\r\nBroken {PROMPT}\r\n\r\n".encode(),
        f"{auth}\r\n{PROMPT}\r\n\r\n".encode(),
    ]


def test_no_path_of_a_request_writes_secrets_down(tmp_path: Path) -> None:
    names = {name: (f"{name}-whole", f"{name}-stream") for name in SCRIPTS}
    patient = [name for pair in names.values() for name in pair if "stall" not in name]
    with (
        everything_logged() as log,
        ScriptedProvider() as provider,
        faulty_gateway(
            tmp_path,
            provider,
            names=[*patient, MODEL],
            impatient=names["stall"],
            server=SERVER,
        ) as faulty,
    ):
        gateway = faulty.gateway
        keys = (gateway.key, gateway.management_key)
        for name, script in SCRIPTS.items():
            provider.default = script
            for stream in (False, True):
                answer = ask(gateway, stream=stream, model=names[name][stream])
                # Content that came before a failure is the client's; the rest is ours to say.
                told = answer.body.decode() if answer.status != 200 else str(answer.headers)
                assert found(told, *WORDS, *keys) == []
        for request in bad_requests(gateway):
            with RawClient(gateway.port) as client:
                client.send(request)
                refusal = client.read_answer()
                assert refusal is not None
                assert refusal.status in {400, 401, 408, 415}
                assert found(str(refusal), *WORDS, *keys) == []
        rows_before = faulty.row_count()
        provider.default = Script(text=COMPLETION * 10, chunks=50, chunk_delay_s=0.05)
        with RawClient(gateway.port) as client:
            body = {"model": MODEL, "messages": MESSAGES, "user": USER, "stream": True}
            auth = f"Authorization: Bearer {gateway.key}"
            client.send(request_of("POST", CHAT, auth, body=json.dumps(body).encode()))
            client.socket.recv(10)
            client.reset()
        rows = gateway.wait_for_rows(rows_before + 1)

    assert {Outcome.COMPLETED, Outcome.FAILED, Outcome.CANCELLED} <= {row.outcome for row in rows}
    assert "attempt_failed" in log.getvalue()
    assert found(log.getvalue(), *WORDS, *keys, USER) == []
    assert found(files_under(tmp_path), *WORDS, *keys) == []
    # The user's id is what the ledger is for.
    assert found(files_under(tmp_path), USER) == [USER]


def mistaken(provider: ScriptedProvider) -> Catalog:
    """Write a catalog as no loader does: to weigh its endpoint is a mistake, in each request."""
    (endpoint,) = catalog([provider]).endpoints
    broken = replace(endpoint, capacity="much")  # pyright: ignore[reportArgumentType] - the mistake
    return Catalog({MODEL: Model(MODEL, "Tiny", 1, 4096, (broken,))})


def test_a_mistake_of_ours_reports_no_secrets(tmp_path: Path) -> None:
    with (
        everything_logged() as log,
        ScriptedProvider() as provider,
        running_gateway(tmp_path, [], serving=mistaken(provider), server=SERVER) as gateway,
    ):
        keys = (gateway.key, gateway.management_key)
        answers = [ask(gateway, stream=stream) for stream in (False, True)]
        rows = gateway.rows()

    assert [answer.status for answer in answers] == [500, 500]
    assert [row.outcome for row in rows] == [Outcome.FAILED, Outcome.FAILED]
    assert "TypeError" in log.getvalue()
    assert found("".join(str(answer) for answer in answers), *WORDS, *keys, "TypeError") == []
    assert found(log.getvalue(), *WORDS, *keys) == []


def test_a_served_process_shows_no_secrets_outside(tmp_path: Path) -> None:
    with (
        ScriptedProvider(default=Script(text=COMPLETION)) as provider,
        served_process(
            tmp_path, config_text(tmp_path, {"p0": provider.url}), "--workers", "2"
        ) as gateway,
    ):
        keys = gateway.keys
        gateway.chat(messages=MESSAGES, user=USER)
        gateway.chat(messages=MESSAGES, user=USER, stream=True)
        outside = ""
        for pid in [gateway.process.pid, *gateway.children]:
            for name in ("cmdline", "environ", "comm"):
                outside += Path(f"/proc/{pid}/{name}").read_text(errors="replace")
        log = "".join(gateway.log.lines)

    assert gateway.banner.count(keys[0]) == 1  # shown once, on an empty store
    assert found(outside, *WORDS, *keys) == []
    assert found(log, *WORDS, *keys, USER) == []
    assert found(files_under(tmp_path), *WORDS, *keys) == []
