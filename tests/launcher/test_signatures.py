"""Ed25519 in pure Python, against the standard and against another implementation."""

from __future__ import annotations

import random

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from launcher.releases import Signer, canonical, raw_public

from agent.launcher import ed25519
from agent.launcher.signature import fault_of_signature

# RFC 8032, section 7.1: public key, message, signature.
VECTORS = [
    (
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        "",
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46b"
        "d25bf5f0595bbe24655141438e7a100b",
    ),
    (
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        "72",
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c"
        "387b2eaeb4302aeeb00d291612bb0c00",
    ),
    (
        "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
        "af82",
        "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc659"
        "4a7c15e9716ed28dc027beceea1ec40a",
    ),
    (
        "ec172b93ad5e563bf4932c70e1245034c35467ef2efd4d64ebf819683467e2bf",
        "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3feebbd"
        "454d4423643ce80e2a9ac94fa54ca49f",
        "dc2a4459e7369633a52b1bf277839a00201009a3efbf3ecb69bea2186c26b58909351fc9ac90b3ecfdfbc7c66431e030"
        "3dca179c138ac17ad9bef1177331a704",
    ),
]


@pytest.mark.parametrize(("key", "message", "signature"), VECTORS)
def test_vectors_of_the_standard(key: str, message: str, signature: str) -> None:
    """They verify, and nothing that differs in one bit does."""
    key_, message_, signature_ = (bytes.fromhex(text) for text in (key, message, signature))
    assert ed25519.verifies(key_, signature_, message_)
    assert not ed25519.verifies(key_, signature_, message_ + b"\0")
    for position in (0, 31, 32, 63):
        altered = bytearray(signature_)
        altered[position] ^= 1
        assert not ed25519.verifies(key_, bytes(altered), message_)


def test_against_another_implementation() -> None:
    """50 keys and messages: what one signs, the other verifies; altered messages are refused."""
    chance = random.Random(20260101)
    for _ in range(50):
        private = Ed25519PrivateKey.from_private_bytes(chance.randbytes(32))
        message = chance.randbytes(chance.randint(0, 300))
        signature, key = private.sign(message), raw_public(private)
        assert ed25519.verifies(key, signature, message)
        altered = bytearray(message + b"\0")
        altered[chance.randrange(len(altered))] ^= 1 << chance.randrange(8)
        assert not ed25519.verifies(key, signature, bytes(altered))


def test_what_is_no_key_or_signature() -> None:
    """Wrong lengths, numbers out of range and what is no point of the curve are refused, not failed upon."""
    private = Ed25519PrivateKey.from_private_bytes(bytes(32))
    key, signature = raw_public(private), private.sign(b"x")
    order = 2**252 + 27742317777372353535851937790883648493
    s = int.from_bytes(signature[32:], "little")
    malleable = signature[:32] + (s + order).to_bytes(32, "little")
    assert not ed25519.verifies(key, malleable, b"x")
    assert not ed25519.verifies(key, signature[:63], b"x")
    assert not ed25519.verifies(key[:31], signature, b"x")
    assert not ed25519.verifies(b"\xff" * 32, signature, b"x")
    no_point = next(
        y for y in (n.to_bytes(32, "little") for n in range(2, 99)) if ed25519._point(y) is None
    )
    assert not ed25519.verifies(no_point, signature, b"x")


def test_a_signed_manifest() -> None:
    """A certified key has signed these very bytes."""
    signer, other = Signer(), Signer()
    roots = [raw_public(other.root), raw_public(signer.root)]
    document = signer.sign(b"manifest")
    assert fault_of_signature(b"manifest", document, roots) == ""
    assert "is wrong" in fault_of_signature(b"manifest ", document, roots)
    assert "none of the root keys" in fault_of_signature(b"manifest", document, roots[:1])
    assert "none of the root keys" in fault_of_signature(b"manifest", document, [])


@pytest.mark.parametrize(
    "document",
    [
        b"",
        b"[]",
        b"{}",
        b'{"format":1}',
        b'{"format":2,"key":""}',
        canonical({"format": 1, "key": "zz"}),
    ],
)
def test_documents_that_are_no_signature(document: bytes) -> None:
    """They are told apart from wrong ones."""
    assert fault_of_signature(b"manifest", document, []).startswith("its manifest.sig")


def test_root_keys_do_not_sign_manifests() -> None:
    """A certificate is no signature and a signature no certificate: each begins with what it is for."""
    signer = Signer()
    swapped = Signer(root=signer.key, key=signer.root)
    roots = [raw_public(signer.root)]
    assert fault_of_signature(b"manifest", swapped.sign(b"manifest"), roots) != ""
