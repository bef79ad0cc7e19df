import random
import string

import pytest

from starloom.redaction.plausibility import is_gibberish, is_hash, is_key, is_password, is_placeholder


def test_random_strings_are_gibberish() -> None:
    draw = random.Random(5)
    values = ["".join(draw.choices(string.ascii_letters + string.digits, k=24)) for _ in range(500)]
    assert sum(map(is_gibberish, values)) >= 499


@pytest.mark.parametrize(
    "value",
    [
        "my_super_secret_api_key",
        "getAccessTokenFromCache",
        "application/vnd.github.v3+json",
        "test-token-12345",
        "oauth2_provider_token",
        "secretsmanager:GetSecretValue",
        "00000000000000000000000000000001",
    ],
)
def test_identifiers_are_not(value: str) -> None:
    assert not is_gibberish(value)


def test_digests_are_told_by_the_words_around() -> None:
    digest = "da39a3ee5e6b4b0d3255bfef95601890afd80709"
    assert is_hash(digest, "SHA1 = ")
    assert not is_hash(digest, "token = ")
    assert not is_hash(digest[:-1], "sha1 = ")
    assert is_key(digest, "token = ")
    assert not is_key(digest, "checksum_token = ")


@pytest.mark.parametrize("value", ["YOUR_API_KEY", "xxxxxxxx", "${SECRET}", "<token>", "aaaaaaaaaa", "example-key", "..."])
def test_placeholders(value: str) -> None:
    assert is_placeholder(value)


@pytest.mark.parametrize("value", ["q7Rk2PzX9vLm", "8c9e3b1e-0f6e-4d2a-9a55", "Zk2Lq9XyW4v"])
def test_real_values_are_no_placeholders(value: str) -> None:
    assert not is_placeholder(value)


@pytest.mark.parametrize("value", ["Gx7!kdV2_q", "hunter2!", "Winter-2023", "correct-horse-battery", "p4ssw0rd"])
def test_passwords(value: str) -> None:
    assert is_password(value)


@pytest.mark.parametrize(
    "value",
    [
        "password",
        "secret1",
        "sha256",
        "PASSWORD_FIELD",
        "JwtTokenFactoryV2",
        "a b c d e",
        "get_it()",
        "12345",
        "0x1012",
        "/etc/passwd1",
    ],
)
def test_no_passwords(value: str) -> None:
    assert not is_password(value)
