"""Secrets of 19 kinds, planted in code, are found; code without any is not suspected."""

import string
from random import Random

import pytest

from tests.test_architecture import MODULES
from trainer.synthesize.secrets import holds_secret

UPPER, ALNUM, HEX = string.ascii_uppercase + string.digits, string.ascii_letters + string.digits, "0123456789abcdef"
WORD = ALNUM + "-_"
N = 50


def of(rng, alphabet, n):
    return "".join(rng.choices(alphabet, k=n))


# split, so that no scanner takes this file for one that holds some
KINDS = {
    "aws key": lambda r: "AK" + "IA" + of(r, UPPER, 16),
    "github token": lambda r: "gh" + "p_" + of(r, ALNUM, 36),
    "github fine-grained": lambda r: "github" + "_pat_" + of(r, ALNUM, 60),
    "gitlab token": lambda r: "gl" + "pat-" + of(r, WORD, 20),
    "slack token": lambda r: "xo" + "xb-" + of(r, string.digits, 12) + "-" + of(r, ALNUM, 24),
    "stripe key": lambda r: "sk" + "_live_" + of(r, ALNUM, 24),
    "openai key": lambda r: "sk" + "-" + of(r, ALNUM, 20) + "T3BlbkFJ" + of(r, ALNUM, 20),
    "google key": lambda r: "AI" + "za" + of(r, WORD, 35),
    "npm token": lambda r: "np" + "m_" + of(r, ALNUM, 36),
    "pypi token": lambda r: "py" + "pi-AgEIcHlwaS5vcmc" + of(r, WORD, 80),
    "hugging face token": lambda r: "h" + "f_" + of(r, string.ascii_letters, 34),
    "private key": lambda r: "-----BEGIN " + "RSA PRIVATE KEY-----" + of(r, ALNUM, 64),
    "json web token": lambda r: ".".join(
        ["ey" + "J" + of(r, ALNUM, 20), "ey" + "J" + of(r, ALNUM, 40), of(r, WORD, 43)]
    ),
    "password in an address": lambda r: f"postgres://admin:{of(r, ALNUM, 14)}@db.corp.net/x",
    "assigned password": lambda r: (
        'password = "' + of(r, string.ascii_letters, 8) + of(r, string.digits, 6) + "#!xQ" + '"'
    ),
    "sendgrid key": lambda r: "S" + "G." + of(r, WORD, 22) + "." + of(r, WORD, 43),
    "twilio key": lambda r: "S" + "K" + of(r, HEX, 32),
    "mailchimp key": lambda r: of(r, HEX, 32) + "-us" + of(r, "123456789", 1),
    "telegram token": lambda r: of(r, "123456789", 10) + ":A" + "A" + of(r, WORD, 33),
}


@pytest.mark.parametrize("kind", KINDS)
def test_nearly_all_secrets_of_a_kind_are_found(kind):
    rng = Random(kind)
    texts = [KINDS[kind](rng) for _ in range(N)]
    planted = [text if "=" in text else f'value = "{text}"' for text in texts]
    missed = [text for text in planted if not holds_secret(f"def f():\n    {text}\n    return value\n")]
    assert len(missed) <= 0.02 * N, missed


def test_our_own_code_holds_none():
    suspects = [name for name, path in MODULES.items() if holds_secret(path.read_text(encoding="utf-8"))]
    assert suspects == []
