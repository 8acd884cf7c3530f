"""Ids that applications make for their users: stable, private, the same in both languages."""

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from regulars.identity.name import accept_name
from regulars.identity.proof import read_proof
from regulars.ids import prove_user, stable_user_id

ROOT = Path(__file__).parents[2]
VECTORS = json.loads((ROOT / "tests/data/stable_ids.json").read_text())
PROOFS = json.loads((ROOT / "tests/data/proofs.json").read_text())
SECRET = "correct horse battery staple"
NODE_S = 20


@pytest.mark.parametrize("vector", VECTORS)
def test_the_vectors_hold(vector: dict[str, str]) -> None:
    made = stable_user_id(vector["namespace"], vector["internal_id"], vector["secret"])

    assert made == vector["id"]
    assert accept_name(made, field="user", length_max=512) == made


def test_the_documented_javascript_makes_the_same_ids(tmp_path: Path) -> None:
    made = said_by_node(
        tmp_path, VECTORS, "vectors.map(v => stableUserId(v.namespace, v.internal_id, v.secret))"
    )

    assert made == [vector["id"] for vector in VECTORS]


@pytest.mark.parametrize("vector", PROOFS)
def test_the_vectors_of_proofs_hold_and_verify(vector: dict[str, Any]) -> None:
    made = prove_user(
        vector["user"],
        vector["secret"],
        expires_at_s=vector["expires_at_s"],
        account=vector["account"],
        nonce=vector["nonce"],
    )
    read = read_proof(
        made.encode(),
        vector["user"],
        secret=vector["secret"],
        account=vector["account"],
        now_s=vector["expires_at_s"] - 60,
    )

    assert made == vector["proof"]
    assert read.user == vector["user"]


def test_the_documented_javascript_makes_the_same_proofs(tmp_path: Path) -> None:
    made = said_by_node(
        tmp_path,
        PROOFS,
        "vectors.map(v => proveUser(v.user, v.secret, "
        "{ expiresAtS: v.expires_at_s, account: v.account, nonce: v.nonce }))",
    )

    assert made == [vector["proof"] for vector in PROOFS]


def said_by_node(folder: Path, vectors: list[dict[str, Any]], expression: str) -> Any:
    """Run the functions of the documentation, and return what an expression over vectors says."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("needs node")
    code = re.findall(r"```js\n(.*?)```", (ROOT / "docs/ids.md").read_text(), re.DOTALL)
    programs = [part.replace('import { createHmac } from "node:crypto";', "") for part in code]
    program = folder / "ids.mjs"
    program.write_text(
        'import { createHmac } from "node:crypto";\n'
        + "".join(programs)
        + f"\nconst vectors = {json.dumps(vectors)};\n"
        + f"console.log(JSON.stringify({expression}));\n"
    )
    ran = subprocess.run([node, program], capture_output=True, timeout=NODE_S, check=True)
    return json.loads(ran.stdout)


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
