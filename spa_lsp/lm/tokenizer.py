"""A base's tokenizer; that of a base of Qwen2's kind without transformers, which would take seconds to be imported."""

import json
from collections.abc import Sequence
from pathlib import Path

import tokenizers
from tokenizers import normalizers


class Tokenizer:
    """Text to ids and back."""

    def __init__(self, backend: tokenizers.Tokenizer) -> None:
        self._backend = backend

    def encode(self, text: str) -> list[int]:
        """Ids of the text; nothing is put before or behind it."""
        ids: list[int] = self._backend.encode(text, add_special_tokens=False).ids
        return ids

    def decode(self, ids: Sequence[int]) -> str:
        """Text of ids, special tokens left out; a character cut in half shows as U+FFFD."""
        text: str = self._backend.decode(list(ids), skip_special_tokens=True)
        return text

    def id_of(self, token: str) -> int | None:
        """The id of a token, which may be a special one; None where there is none."""
        found: int | None = self._backend.token_to_id(token)
        return found

    def pieces(self) -> dict[int, str]:
        """Every token as the tokenizer writes it, by id, but those that were added to its vocabulary."""
        added = self._backend.get_added_tokens_decoder()
        return {n: piece for piece, n in self._backend.get_vocab().items() if n not in added}


def read_tokenizer(folder: Path) -> Tokenizer:
    """The tokenizer of the base in this folder.

    Raises:
        ValueError: its files cannot be read.
    """
    try:
        backend = _read_backend(folder)
    except ImportError:
        raise  # transformers': no fault of the files
    except Exception as error:  # neither package raises anything more precise
        raise ValueError(f"its tokenizer cannot be read: {error}") from error
    backend.no_truncation()
    backend.no_padding()
    return Tokenizer(backend)


def _read_backend(folder: Path) -> tokenizers.Tokenizer:
    config = json.loads((folder / "tokenizer_config.json").read_text(encoding="utf-8"))
    if config.get("tokenizer_class") != "Qwen2Tokenizer":
        from transformers import AutoTokenizer  # knows what each kind does besides

        known: tokenizers.Tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True).backend_tokenizer
        return known
    backend = tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))
    backend.normalizer = normalizers.NFC()  # as Qwen2 was trained; the file that a GGUF gives does not say so
    return backend
