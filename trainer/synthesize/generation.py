"""Asking the base: questions in, texts out, all in one batch whose rows are filled up. Counts tokens and seconds."""

import logging
import time
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from spa_lsp.completion import CompletionRequest, CompletionResult, StopPolicy
from spa_lsp.errors import TooLong

logger = logging.getLogger(__name__)


class BatchCompleter(Protocol):
    """The seam to the model: `lm.LocalCompleter`, or what stands in for it in tests."""

    def complete_many(self, requests: Sequence[CompletionRequest]) -> list[CompletionResult]:
        """One result per request."""


@dataclass(frozen=True, kw_only=True)
class Question:
    """One chat turn to be answered `n` times; every answer goes on behind `begun`, which it is returned with."""

    text: str
    begun: str = ""
    n: int = 1
    max_tokens: int = 256
    temperature: float = 0.0
    stop: StopPolicy = "multi"  # behind the first code block that defines something


class Asker:
    """Asks a completer, and knows how much that was."""

    def __init__(self, completer: BatchCompleter, *, seed: int) -> None:
        self._completer, self._seed = completer, seed
        self.n_tokens = 0
        self.seconds = 0.0

    def ask(self, questions: Sequence[Question]) -> list[list[str]]:
        """The answers to each question, whole; equal questions have equal answers.

        Empty ones to a question that the base cannot read: one seed with a long table is no reason to end a run.
        """
        started = time.perf_counter()
        answers = self._answers(questions) if questions else []
        self.seconds += time.perf_counter() - started
        return answers

    def _answers(self, questions: Sequence[Question]) -> list[list[str]]:
        try:
            results = self._completer.complete_many([request_of(question, seed=self._seed) for question in questions])
        except TooLong as error:  # known before anything is decoded
            if half := len(questions) // 2:
                return [*self._answers(questions[:half]), *self._answers(questions[half:])]
            logger.warning("a question is left without an answer: %s", error)
            return [[""] * questions[0].n]
        self.n_tokens += sum(alternative.n_tokens for result in results for alternative in result.alternatives)
        return [
            [question.begun + alternative.text for alternative in result.alternatives]
            for question, result in zip(questions, results, strict=True)
        ]


def request_of(question: Question, *, seed: int) -> CompletionRequest:
    """What the base is asked; its answers are drawn by the seed and the question, and not by its place."""
    return CompletionRequest(
        prefix=question.text,
        layout="instruct",
        begun=question.begun,
        k=question.n,
        use_base=True,
        max_tokens=question.max_tokens,
        stop=question.stop,
        temperature=question.temperature,
        seed=seed ^ zlib.crc32(question.text.encode()),
    )
