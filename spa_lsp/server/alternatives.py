"""Which of the engine's alternatives are shown: polished, each really another, the same ones for the same question."""

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, replace

from spa_lsp.completion import Alternative
from spa_lsp.server.context import Window
from spa_lsp.shown import distinct, shown_infills

CACHED_ANSWERS = 64


def choose(alternatives: Sequence[Alternative], window: Window, language: str) -> list[Alternative]:
    """The alternatives to show, in the set's order: of those that are the same program only the first."""
    shown = shown_infills(alternatives, prefix=window.prefix, suffix=window.suffix, language=language)
    return [replace(each.alternative, text=each.text) for each in distinct(shown) if each.text is not None]


@dataclass(frozen=True, kw_only=True)
class Question:
    """What decides the answer: VS Code asks again at the same place and must see the same first item."""

    uri: str
    version: int
    start: int
    end: int
    typed: str = ""  # chosen in the client's own menu


@dataclass(frozen=True, kw_only=True)
class Answer:
    """The alternatives shown, and the set they come from."""

    adapter_set: str
    alternatives: tuple[Alternative, ...]


class AnswerCache:
    """The last answers given."""

    def __init__(self) -> None:
        self._answers: OrderedDict[Question, Answer] = OrderedDict()

    def get(self, question: Question) -> Answer | None:
        """The answer that this question got."""
        return self._answers.get(question)

    def put(self, question: Question, answer: Answer) -> None:
        """Keep an answer; the oldest goes."""
        self._answers[question] = answer
        if len(self._answers) > CACHED_ANSWERS:
            self._answers.popitem(last=False)

    def forget(self, uri: str) -> None:
        """The document was closed: its versions may begin anew."""
        for question in [question for question in self._answers if question.uri == uri]:
            del self._answers[question]

    def clear(self) -> None:
        """Forget everything: other settings, another set."""
        self._answers.clear()
