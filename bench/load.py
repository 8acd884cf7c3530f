"""Load of whole answers: `wrk` with a generated script, bodies naming users in turn."""

import json
import re
from dataclasses import dataclass

from bench.children import Children
from bench.errors import BenchError
from bench.target import CHAT_PATH, MODEL, Target

USERS = 64
CONNECTIONS = 32
BODY_BYTES = 2048
SLACK_S = 30.0

SCRIPT = """\
local requests, turn = {{}}, 0
function init(_)
  local headers = {{ ["Content-Type"] = "application/json", ["Authorization"] = "Bearer {key}" }}
  for user = 1, {users} do
    local body = string.format({body}, user, user, string.rep("x", {padding}))
    requests[user] = wrk.format("POST", "{path}", headers, body)
  end
end
function request()
  turn = turn % #requests + 1
  return requests[turn]
end
function done(summary, latency, _)
  local e = summary.errors
  io.write(string.format(
    'done {{"requests":%d,"seconds":%f,"refused":%d,"broken":%d,"p50_ms":%f,"p99_ms":%f}}\\n',
    summary.requests, summary.duration / 1e6, e.status, e.connect + e.read + e.write + e.timeout,
    latency:percentile(50) / 1e3, latency:percentile(99) / 1e3))
end
"""


@dataclass(frozen=True, slots=True)
class Shape:
    """Size of the load."""

    seconds: float
    connections: int = CONNECTIONS
    body_bytes: int = BODY_BYTES
    users: int = USERS


@dataclass(frozen=True, slots=True)
class Answers:
    """What came back. `requests` were answered in full; others were cut off at the end."""

    requests: int
    seconds: float
    p50_ms: float
    p99_ms: float


def run_wrk(children: Children, target: Target, shape: Shape, *, core: int) -> Answers:
    """Load the target for `shape.seconds`.

    Raises:
        BenchError: an answer was not 2xx, a connection broke, or wrk did not end in time.
    """
    script = children.folder / f"wrk-{target.name}.lua"
    script.write_text(_script(target, shape))
    # wrk takes whole seconds only.
    seconds = max(1, round(shape.seconds))
    command = [
        *("wrk", "--threads", "1", "--connections", str(shape.connections)),
        *("--duration", f"{seconds}s", "--timeout", "10s", "--script", str(script)),
        f"http://127.0.0.1:{target.port}",
    ]
    child = children.start("wrk", command, core=core, environment={}, pipes=True)
    try:
        output, _ = child.communicate(timeout=seconds + SLACK_S)
    finally:
        children.end(child)
    return _read(target, output.decode(), complaint=children.tail("wrk"))


def chat_body(user: str, *, stream: bool, padding: int = 0) -> bytes:
    """One request body; `user` also opens the conversation, so that sessions differ as users do."""
    return json.dumps(
        {
            "model": MODEL,
            "user": user,
            "stream": stream,
            **({"stream_options": {"include_usage": True}} if stream else {}),
            "temperature": 0.5,
            "max_tokens": 256,
            "messages": [
                {"role": "system", "content": "You are a helpful assistant."},
                {"role": "user", "content": f"I am {user}. " + "x" * padding},
            ],
        },
        separators=(",", ":"),
    ).encode()


def _script(target: Target, shape: Shape) -> str:
    body = chat_body("user-%04d", stream=False).decode()
    return SCRIPT.format(
        key=target.key,
        users=shape.users,
        path=CHAT_PATH,
        body=f"[[{body[:-4]}%s{body[-4:]}]]",
        padding=max(0, shape.body_bytes - len(body)),
    )


def _read(target: Target, output: str, *, complaint: str) -> Answers:
    found = re.search(r"^done (\{.*\})$", output, re.MULTILINE)
    if not found:
        raise BenchError(f"wrk against {target.name} printed no result: {complaint}")
    result = json.loads(found[1])
    if result["refused"] or result["broken"] or not result["requests"]:
        raise BenchError(f"wrk against {target.name} saw failures: {result}")
    return Answers(
        result["requests"], result["seconds"], p50_ms=result["p50_ms"], p99_ms=result["p99_ms"]
    )
