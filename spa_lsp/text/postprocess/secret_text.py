"""Keys and passwords in a completion: learned by heart somewhere, worth nothing here, and maybe somebody's."""

import math
import re
from collections import Counter

from spa_lsp.text.site import Site

# the forms that their makers publish for scanners
_KEYS = re.compile(
    r"""
      \b(?:AKIA|ASIA)[0-9A-Z]{16}\b                        # Amazon
    | \bgh[pousr]_[A-Za-z0-9]{36,} | \bgithub_pat_\w{22,}  # GitHub
    | \bglpat-[\w-]{20,}                                   # GitLab
    | \bxox[abeprs]-[\w-]{10,}                             # Slack
    | \b[sr]k_live_[A-Za-z0-9]{16,}                        # Stripe
    | \bsk-(?=[\w-]{0,40}?(?:[A-Za-z][0-9]|[0-9][A-Za-z])\w{8})[\w-]{20,}  # OpenAI and others; not `sk-fading-circle-…`
    | \bAIza[\w-]{35}                                      # Google
    | \bnpm_[A-Za-z0-9]{36} | \bpypi-[\w-]{50,} | \bhf_[A-Za-z0-9]{30,}
    | -----BEGIN[A-Z ]*PRIVATE\ KEY
    | \beyJ[\w-]{10,}\.eyJ[\w-]{10,}\.[\w-]{10,}           # JSON web token
    | ://(?P<user>[^\s/:@"']+):(?P<password>[^\s/:@"'{}<>$%]{6,})@(?P<host>[\w.-]*)
    """,
    re.VERBOSE,
)
_ASSIGNMENT = re.compile(
    r"(?:passw(?:or)?d|passphrase|secret|token|api_?key|access_?key|private_?key|credential)\w*[\"']?\]?"
    r"(?:\s*:\s*\w+)?\s*(?:=>|:=|[:=])\s*[\"'](?P<value>[^\"'\s]{12,})[\"']",
    re.IGNORECASE,
)
# what stands where a secret would, in examples
_PLACEHOLDER = re.compile(
    r"example|change[-_]?me|placeholder|\byour[-_]|dummy|redacted|replace[-_]?(?:me|this)|:passw(?:or)?d@|x{6,}|\*{4,}"
    r"|(?:1234567890|0123456789){2}",
    re.IGNORECASE,
)
_HERE = re.compile(
    r"localhost|127(?:\.\d+){3}|0\.0\.0\.0|(?:.+\.)?example\.(?:com|org|net)|.+\.(?:test|localhost|invalid)"
)
_MIN_BITS = 3.0  # per character; words that repeat letters have less, random ones of 12 characters about 3.4


def drop_secrets(text: str, site: Site) -> str:
    """Nothing, when a part of it has the form of a secret."""
    return "" if has_secret(text) else text


def has_secret(text: str) -> bool:
    """Whether a key of a known form stands in the text, or a random value is given to what is named like one."""
    keys = any(not _is_example(match) for match in _KEYS.finditer(text))
    return keys or any(_is_random(match["value"]) for match in _ASSIGNMENT.finditer(text))


def _is_example(match: re.Match[str]) -> bool:
    """Whether a text of a key's form is one that documentation and tests use, and opens nothing."""
    if _PLACEHOLDER.search(match[0]):
        return True
    return bool(match["password"]) and (match["password"] == match["user"] or bool(_HERE.fullmatch(match["host"])))


def _is_random(value: str) -> bool:
    n_digits = sum(map(str.isdigit, value))
    n_letters = sum(map(str.isalpha, value))
    is_template = any(sign in value for sign in "{}<>$%") or bool(_PLACEHOLDER.search(value))
    return not is_template and n_digits >= 2 and n_letters >= 2 and _bits(value) >= _MIN_BITS


def _bits(text: str) -> float:
    """Entropy of the characters, in bits per character."""
    shares = [n / len(text) for n in Counter(text).values()]
    return -sum(share * math.log2(share) for share in shares)
