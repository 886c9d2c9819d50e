"""What a server is and has: which of the servers that we know, and by which words it is asked for an adapter.

All are asked at `/v1/completions`, whose common part is in `rows.py`; what differs between them is here.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any, Literal

from spa_lsp.errors import Unavailable
from spa_lsp.remote.http import HttpServer

Kind = Literal["llama.cpp", "vllm", "sglang", "other"]

_OWNERS: dict[str, Kind] = {"llamacpp": "llama.cpp", "vllm": "vllm", "sglang": "sglang"}
_ANYTHING = r"[\s\S]*"


@dataclass(frozen=True, kw_only=True)
class Served:
    """One server as it was found."""

    kind: Kind
    place: str  # `HOST:PORT`, for people
    model: str  # its name for the base alone
    adapters: Mapping[str, int | None] = field(default_factory=dict)  # by their names there; llama.cpp numbers them

    @property
    def can_owe(self) -> bool:
        """Whether it can be told how a completion must begin."""
        return self.kind != "other"

    def body_for(self, adapter: str | None) -> dict[str, Any]:
        """What of a request chooses the adapter of this name; None: the base alone."""
        if self.kind == "llama.cpp":  # those not named would act as they did at its start
            scales = [{"id": number, "scale": float(name == adapter)} for name, number in self.adapters.items()]
            return {"model": self.model, "lora": scales} if scales else {"model": self.model}
        if adapter is None:
            return {"model": self.model}
        return {"model": f"{self.model}:{adapter}" if self.kind == "sglang" else adapter}

    def body_owing(self, owed: str) -> dict[str, Any]:
        """What of a request makes the completion begin with this text."""
        if not owed:
            return {}
        if self.kind == "llama.cpp":
            return {"grammar": rf'root ::= "{_in_grammar(owed)}" [\x00-\U0010FFFF]*'}
        regex = re.escape(owed) + _ANYTHING
        return {"structured_outputs": {"regex": regex}} if self.kind == "vllm" else {"regex": regex}

    def body_of_samples(self) -> dict[str, Any]:
        """What of a request takes back the server's own ideas of how tokens are chosen."""
        if self.kind == "other":
            return {}
        plain = {"top_k": -1, "min_p": 0.0}
        return plain if self.kind == "llama.cpp" else {**plain, "repetition_penalty": 1.0, "skip_special_tokens": False}


async def find_served(http: HttpServer) -> Served:
    """What the server has now.

    Raises:
        SpaError: why it cannot be asked.
    """
    answer = await http.get("/v1/models")
    try:
        models = [model for model in answer["data"] if isinstance(model["id"], str)]
        base = next((model for model in models if not model.get("parent")), models[0])
    except (KeyError, TypeError, IndexError, AttributeError):
        raise Unavailable(f"{http.url.place} names no model; is it a server with the completions API?") from None
    kind = _OWNERS.get(str(base.get("owned_by")).lower(), "other")
    adapters: Mapping[str, int | None] = {model["id"]: None for model in models if model is not base}
    if kind == "llama.cpp":
        adapters = _numbered(await http.get("/lora-adapters"))
    return Served(kind=kind, place=http.url.place, model=base["id"], adapters=adapters)


def _numbered(answer: Any) -> dict[str, int]:
    """The adapters of llama.cpp: each has the name of its file."""
    found = [each for each in answer if isinstance(each, dict)] if isinstance(answer, list) else []
    return {
        PurePosixPath(str(each.get("path"))).name.removesuffix(".gguf"): each["id"]
        for each in found
        if isinstance(each.get("id"), int)
    }


def _in_grammar(text: str) -> str:
    """The text in a literal of llama.cpp's grammars."""
    return "".join(each if each.isalnum() or each == " " else rf"\U{ord(each):08X}" for each in text)
