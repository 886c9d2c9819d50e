"""Whether a worker is what the driver is: the same sources, packages and base. Only then its rows are the same."""

import hashlib
import platform
from dataclasses import dataclass
from functools import cache
from importlib import metadata
from pathlib import Path

from spa_lsp.bases.catalog import find_base, installed_base, pull_again
from spa_lsp.errors import BadInput, Damaged
from spa_lsp.storage.checked_files import hash_file

_PACKAGES = ("torch", "transformers", "bitsandbytes", "numpy", "tokenizers", "safetensors")
_ROOT = Path(__file__).parents[2]


@dataclass(frozen=True, kw_only=True)
class BaseDigests:
    """A base as it lies on the driver."""

    base_id: str
    weights: str  # sha256 of the source file
    tokenizer: str


@cache
def versions() -> dict[str, str]:
    """What must be equal on both sides, by name; `spa-lsp` is its version and a digest of its sources."""
    sources = hashlib.sha256()
    for path in (file for package in ("spa_lsp", "trainer") for file in sorted((_ROOT / package).rglob("*.py"))):
        sources.update(f"{path.relative_to(_ROOT)}\0".encode() + path.read_bytes() + b"\0")
    own = {"spa-lsp": f"{metadata.version('spa-lsp')} ({sources.hexdigest()[:8]})", "python": platform.python_version()}
    return own | {name: metadata.version(name) for name in _PACKAGES}


def check_versions(driver: dict[str, str]) -> None:
    """Compare this process with the driver.

    Raises:
        BadInput: names all that differs.
    """
    here = versions()
    wrong = [f"{name} {here.get(name)} instead of {known}" for name, known in driver.items() if here.get(name) != known]
    if wrong:
        raise BadInput(f"the worker on {platform.node()} has {', '.join(wrong)}; install there what the driver has")


def digests_of(base_id: str) -> BaseDigests:
    """Of the base on this machine.

    Raises:
        NotFound, Damaged: see `installed_base`.
    """
    found = installed_base(find_base(base_id))
    return BaseDigests(base_id=base_id, weights=found.weights_sha256, tokenizer=found.tokenizer_sha256)


def check_base(driver: BaseDigests) -> None:
    """Compare the base on this machine with the driver's, and its files with their sha256.

    Raises:
        NotFound: it is not here, or is another one. Damaged: a file has another content.
    """
    base = find_base(driver.base_id)
    if digests_of(driver.base_id) != driver:
        raise BadInput(f"{driver.base_id} on {platform.node()} is not the driver's; {pull_again(base)}")
    found = installed_base(base)
    for name, file in found.files.items():
        if hash_file(found.folder / name) != file.sha256:
            raise Damaged(f"{found.folder / name} on {platform.node()} is damaged; {pull_again(base)}")
