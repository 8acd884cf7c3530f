"""Writes a tiny model with random weights: its text is nonsense, its prompt cache is real.

Needs the extra `demo`; nothing is downloaded.
"""

import os
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

MODEL_ID: Final = "demo/tiny-chat"
CONTEXT_LENGTH: Final = 32_768

_FILE: Final = "tiny-chat-1.gguf"  # the number changes with the recipe
_WIDTH: Final = 64
_LAYERS: Final = 2
_HEADS: Final = 4
_FEED_FORWARD: Final = 128
_SEED: Final = 0
_SPECIAL: Final = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
_SPACE: Final = "Ġ"  # GPT-2 spells the byte so
_CHAT_TEMPLATE: Final = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n"
    "{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
_NEEDED: Final = ("xllamacpp", "gguf", "numpy")


class DemoError(Exception):
    """The demo cannot run here; the message says what helps."""


def check_installed() -> None:
    """Raise DemoError where the extra `demo` is not installed."""
    missing = [name for name in _NEEDED if find_spec(name) is None]
    if missing:
        raise DemoError(
            f"the demo needs {', '.join(missing)}, not installed here:"
            ' pip install "regulars[demo]", or name a provider in regulars.toml'
        )


def tiny_model(home: Path) -> Path:
    """Return the model's file under `home`/demo; write it the first time."""
    check_installed()
    file = home / "demo" / _FILE
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        # written aside, so that a second gateway never reads half a file
        aside = file.with_name(f"{_FILE}.{os.getpid()}")
        _write(aside)
        aside.replace(file)
    return file


def _write(file: Path) -> None:
    import gguf  # noqa: PLC0415 - an extra, and slow to import
    import numpy as np  # noqa: PLC0415 - likewise

    writer = gguf.GGUFWriter(str(file), "llama")
    tokens = _tokens()
    _write_settings(writer, len(tokens))
    _write_tokenizer(writer, tokens, gguf)
    random = np.random.default_rng(_SEED)
    for name, shape in _shapes(len(tokens)).items():
        if name.endswith("norm.weight"):
            tensor = np.ones(shape, dtype=np.float32)
        else:
            tensor = (random.standard_normal(shape) * 0.2).astype(np.float32)
        if name == "output.weight":
            # Silent rows keep the text to letters and spaces, free of control tokens.
            # The others are loud, so that one of them always tops a silent row's zero.
            tensor *= 2.5
            tensor[[index for index, token in enumerate(tokens) if not _spoken(token)]] = 0
        writer.add_tensor(name, tensor)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _write_settings(writer: Any, vocabulary: int) -> None:
    writer.add_name("tiny-chat")
    writer.add_context_length(CONTEXT_LENGTH)
    writer.add_embedding_length(_WIDTH)
    writer.add_block_count(_LAYERS)
    writer.add_feed_forward_length(_FEED_FORWARD)
    writer.add_head_count(_HEADS)
    writer.add_head_count_kv(_HEADS)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_dimension_count(_WIDTH // _HEADS)
    writer.add_vocab_size(vocabulary)


def _write_tokenizer(writer: Any, tokens: list[str], gguf: Any) -> None:
    kinds = [
        gguf.TokenType.CONTROL if token in _SPECIAL else gguf.TokenType.NORMAL for token in tokens
    ]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list(tokens)
    writer.add_token_types(kinds)
    # llama.cpp wants a merge; two zero bytes never occur, so history is cut as it was generated
    writer.add_token_merges([f"{tokens[0]} {tokens[0]}"])
    writer.add_bos_token_id(tokens.index("<|endoftext|>"))
    writer.add_eos_token_id(tokens.index("<|im_end|>"))
    writer.add_add_bos_token(False)
    writer.add_chat_template(_CHAT_TEMPLATE)


def _tokens() -> list[str]:
    """One token per byte, in GPT-2's spelling, the special ones, and one merged."""
    spare = iter(range(256, 512))
    spelled = [chr(byte) if _spelled_as_itself(byte) else chr(next(spare)) for byte in range(256)]
    return [*spelled, *_SPECIAL, spelled[0] * 2]


def _spelled_as_itself(byte: int) -> bool:
    return 0x21 <= byte <= 0x7E or 0xA1 <= byte <= 0xAC or 0xAE <= byte <= 0xFF


def _spoken(token: str) -> bool:
    return token == _SPACE or (len(token) == 1 and "a" <= token <= "z")


def _shapes(vocabulary: int) -> dict[str, tuple[int, ...]]:
    shapes: dict[str, tuple[int, ...]] = {"token_embd.weight": (vocabulary, _WIDTH)}
    for layer in range(_LAYERS):
        at = f"blk.{layer}"
        shapes |= {
            f"{at}.attn_norm.weight": (_WIDTH,),
            f"{at}.attn_q.weight": (_WIDTH, _WIDTH),
            f"{at}.attn_k.weight": (_WIDTH, _WIDTH),
            f"{at}.attn_v.weight": (_WIDTH, _WIDTH),
            f"{at}.attn_output.weight": (_WIDTH, _WIDTH),
            f"{at}.ffn_norm.weight": (_WIDTH,),
            f"{at}.ffn_gate.weight": (_FEED_FORWARD, _WIDTH),
            f"{at}.ffn_up.weight": (_FEED_FORWARD, _WIDTH),
            f"{at}.ffn_down.weight": (_WIDTH, _FEED_FORWARD),
        }
    return shapes | {"output_norm.weight": (_WIDTH,), "output.weight": (vocabulary, _WIDTH)}
