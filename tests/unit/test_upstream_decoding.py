import gzip
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regulars.model.errors import UpstreamProtocolError
from regulars.upstream.decoding import Decoder


def decode(encoding: bytes, pieces: list[bytes], *, piece_bytes: int = 1000) -> list[bytes]:
    decoder = Decoder(encoding, peer="provider 'alpha'", piece_bytes=piece_bytes)
    decoded: list[bytes] = []
    for piece in pieces:
        decoder.feed(piece)
        while out := decoder.take():
            decoded.append(out)
    decoder.finish()
    return decoded


def bare_deflate(body: bytes) -> bytes:
    compressor = zlib.compressobj(wbits=-15)
    return compressor.compress(body) + compressor.flush()


ENCODINGS = {
    b"gzip": gzip.compress,
    b"X-GZip": gzip.compress,
    b"deflate": zlib.compress,
    b" deflate": bare_deflate,
}


@given(
    encoding=st.sampled_from(sorted(ENCODINGS)),
    body=st.binary(max_size=3000),
    cut=st.integers(1, 50),
    piece_bytes=st.integers(1, 1000),
)
def test_decoding_gives_the_body_back_in_bounded_pieces(
    encoding: bytes, body: bytes, cut: int, piece_bytes: int
) -> None:
    packed = ENCODINGS[encoding](body)
    pieces = [packed[at : at + cut] for at in range(0, len(packed), cut)]

    decoded = decode(encoding, pieces, piece_bytes=piece_bytes)

    assert b"".join(decoded) == body
    assert max(map(len, decoded), default=0) <= piece_bytes


def test_gzip_may_have_several_members() -> None:
    assert b"".join(decode(b"gzip", [gzip.compress(b"one, ") + gzip.compress(b"two")])) == (
        b"one, two"
    )


def test_a_bomb_is_let_out_a_piece_at_a_time() -> None:
    bomb = zlib.compress(bytes(10_000_000))
    decoder = Decoder(b"deflate", peer="p", piece_bytes=1000)

    decoder.feed(bomb)

    assert decoder.take() == bytes(1000)


@pytest.mark.parametrize("encoding", [b"br", b"gzip, gzip", b"zstd"])
def test_unknown_encodings_are_refused(encoding: bytes) -> None:
    with pytest.raises(UpstreamProtocolError, match="content-encoding"):
        Decoder(encoding, peer="p", piece_bytes=1)


@pytest.mark.parametrize(
    ("pieces", "said"),
    [
        ([b"this is not gzip at all"], "not valid gzip"),
        ([gzip.compress(b"cut short")[:-4]], "ends too soon"),
    ],
)
def test_broken_bodies_are_protocol_errors(pieces: list[bytes], said: str) -> None:
    with pytest.raises(UpstreamProtocolError, match=said):
        decode(b"gzip", pieces)
