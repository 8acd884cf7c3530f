"""Ids that applications make for their users: stable, private, the same in both languages."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from regulars.identity.name import accept_name
from regulars.ids import stable_user_id

ROOT = Path(__file__).parents[2]
VECTORS = json.loads((ROOT / "tests/data/stable_ids.json").read_text())
SECRET = "correct horse battery staple"
NODE_S = 20


@pytest.mark.parametrize("vector", VECTORS)
def test_the_vectors_hold(vector: dict[str, str]) -> None:
    made = stable_user_id(vector["namespace"], vector["internal_id"], vector["secret"])

    assert made == vector["id"]
    assert accept_name(made, field="user", length_max=512) == made


def test_the_documented_javascript_makes_the_same_ids(tmp_path: Path) -> None:
    node = shutil.which("node")
    if node is None:
        pytest.skip("needs node")
    code = re.search(r"```js\n(.*?)```", (ROOT / "docs/ids.md").read_text(), re.DOTALL)
    assert code
    program = tmp_path / "ids.mjs"
    program.write_text(
        code[1] + f"\nconst vectors = {json.dumps(VECTORS)};\n"
        "console.log(JSON.stringify(vectors.map("
        "v => stableUserId(v.namespace, v.internal_id, v.secret))));\n"
    )

    ran = subprocess.run([node, program], capture_output=True, timeout=NODE_S, check=True)

    assert json.loads(ran.stdout) == [vector["id"] for vector in VECTORS]


def test_composed_and_decomposed_accents_are_one_person() -> None:
    assert stable_user_id("a", "e\u0301", SECRET) == stable_user_id("a", "\u00e9", SECRET)


def test_a_secret_may_be_bytes() -> None:
    assert stable_user_id("a", "1", SECRET.encode()) == stable_user_id("a", "1", SECRET)


@pytest.mark.parametrize(
    ("namespace", "internal_id", "secret", "said"),
    [
        ("", "1", SECRET, "namespace"),
        ("Shop", "1", SECRET, "namespace"),
        ("shop\n", "1", SECRET, "namespace"),
        ("shop", "", SECRET, "internal_id"),
        ("shop", "x" * 1025, SECRET, "internal_id"),
        ("shop", "1", "guessable", "secret"),
    ],
)
def test_what_makes_bad_ids_is_refused_without_being_repeated(
    namespace: str, internal_id: str, secret: str, said: str
) -> None:
    with pytest.raises(ValueError, match=said) as refused:
        stable_user_id(namespace, internal_id, secret)

    assert secret not in str(refused.value)
