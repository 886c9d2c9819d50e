"""The work of an evaluation: problems in, completions and their judgements out. Knows no store and no figures.

A piece are the problems that one arm is asked together, or one whose completions are only judged anew, or measured.
"""

import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from spa_lsp.adapters.manifest import AdapterSet
from spa_lsp.completion import TOP_P, CompletionRequest, CompletionResult, StopPolicy
from spa_lsp.errors import BadInput, Unavailable
from trainer.evaluate.arms import ArmEntry
from trainer.evaluate.benchmarks.choice import is_likeliest
from trainer.evaluate.benchmarks.problems import Layout, Problem
from trainer.evaluate.completions import Completion, problem_id
from trainer.evaluate.judgements import Judgement, judgements, rules_version
from trainer.evaluate.sandbox import require_sandbox
from trainer.executor.travelling import TravellingSet
from trainer.executor.work import Do, Give, use_threads

STOP: StopPolicy = "multi"  # what an editor asks for, on single lines too; an instruct answer ends with its code
# of one completion, when none is asked for: a block in an editor, a function with its explanation, a letter and why
MAX_TOKENS: dict[Layout, int] = {"infill": 96, "instruct": 512, "choice": 128}


@dataclass(frozen=True, kw_only=True)
class EvaluationSettings:
    """What is equal for all arms of an evaluation."""

    base_id: str
    quantization: str = "auto"
    max_tokens: int | None = None
    begun_chars: int | None = None  # at most so many stand behind the anchor of an infilling; None: no anchor
    seed: int = 0  # of sampling; every problem gets its own from it
    allow_packages: tuple[str, ...] = ()  # what programs may import besides the standard library


@dataclass(frozen=True, kw_only=True)
class ArmAnswer:
    """What came back for one problem, and its share of the time."""

    result: CompletionResult
    seconds: float
    average_kl: float | None = None
    is_likeliest: dict[str, bool] = field(default_factory=dict)  # the right option, by adapter


@dataclass(frozen=True, kw_only=True)
class ToAnswer:
    """Problems that an arm, by its number, is asked together."""

    arm: int
    problems: tuple[Problem, ...]


@dataclass(frozen=True, kw_only=True)
class ToJudge:
    """A problem that has its completions; no model is asked."""

    arm: int
    problem: Problem
    completions: tuple[Completion, ...]


@dataclass(frozen=True, kw_only=True)
class ToMeasure:
    """A problem whose completions lack the average KL on one of their texts."""

    arm: int
    problem: Problem
    text: str


@dataclass(frozen=True, kw_only=True)
class Answered:
    """What an arm wrote for a problem."""

    arm: int
    completions: Sequence[Completion]


@dataclass(frozen=True, kw_only=True)
class Judged:
    """What judge and rules say of it."""

    arm: int
    judgements: Sequence[Judgement]


@dataclass(frozen=True, kw_only=True)
class Measured:
    """The average KL on stored completions, and the quantization and device of what measured it."""

    arm: int
    problem_id: str
    average_kl: float | None
    made_with: tuple[str, str]


class Model(Protocol):
    """The model behind all arms, see `served.Served`."""

    @property
    def base_id(self) -> str:
        """Of all arms."""

    @property
    def made_with(self) -> tuple[str, str]:
        """Quantization and device."""

    def use(self, adapter_set: AdapterSet | None) -> None:
        """Answer with this set from now on."""

    def complete_many(
        self, requests: Sequence[CompletionRequest], *, on_result: Callable[[int, CompletionResult], object]
    ) -> list[CompletionResult]:
        """All results, of each of which `on_result` is told when it is there; errors as `Completer.complete`."""

    def average_kl(self, request: CompletionRequest, text: str) -> float | None:
        """The average KL between the adapters on one text as the answer; None where there is no pair of adapters."""

    def log_likelihoods(self, choices: Sequence[tuple[str, str]]) -> dict[str, list[float]]:
        """By the name of each adapter, or of the base, the log-likelihoods of pairs (context, continuation)."""


@dataclass(frozen=True, kw_only=True)
class Answering:
    """Arms with their adapters, and the model that they share; the sandbox is the worker's own."""

    model: Model
    arms: Sequence[tuple[ArmEntry, TravellingSet | None]]
    settings: EvaluationSettings
    version: str  # of judge and rules
    has_kl: bool
    may_be_unsafe: bool = False
    asks: bool = True  # whether there is anything to answer

    @property
    def base_id(self) -> str | None:
        """As `Work.base_id`."""
        return self.model.base_id if self.asks else None

    def start(self, n_threads: int | None) -> Do[ToAnswer | ToJudge | ToMeasure, Answered | Judged | Measured]:
        """As `Work.start`."""
        if n_threads is not None:
            use_threads(n_threads)
            require_sandbox(may_be_none=self.may_be_unsafe, packages=self.settings.allow_packages)
            if rules_version(self.settings.allow_packages) != self.version:
                raise BadInput("the worker would judge by other rules; install there what the driver has")
        return self._do

    def _do(self, piece: ToAnswer | ToJudge | ToMeasure, give: Give[Answered | Judged | Measured]) -> None:
        if isinstance(piece, ToJudge):
            found = judgements(piece.problem, piece.completions, self.version)
            give(Judged(arm=piece.arm, judgements=found))
        elif isinstance(piece, ToMeasure):
            give(self._measure(piece))
        else:
            self._ask(piece, give)

    def _measure(self, piece: ToMeasure) -> Measured:
        entry, own = self.arms[piece.arm]
        adapter_set = own.adapter_set if own else None
        self.model.use(adapter_set)
        request = _request(piece.problem, entry, self.settings, adapter_set)
        return Measured(
            arm=piece.arm,
            problem_id=problem_id(piece.problem),
            average_kl=self.model.average_kl(request, piece.text),
            made_with=self.model.made_with,
        )

    def _ask(self, piece: ToAnswer, give: Give[Answered | Judged | Measured]) -> None:
        """Complete problems and judge them, one after the other as the answers come.

        Raises:
            Unavailable: there is no working sandbox, or it failed on a program.
        """
        entry, own = self.arms[piece.arm]
        adapter_set = own.adapter_set if own else None
        self.model.use(adapter_set)
        requests = [_request(problem, entry, self.settings, adapter_set) for problem in piece.problems]
        is_measured = self.has_kl and has_pairs(entry, adapter_set)

        def note(number: int, result: CompletionResult) -> None:
            problem, answer = piece.problems[number], _answer(result)
            if is_measured:
                text = measured_text(problem, [item.text for item in result.alternatives], self.settings)
                answer = replace(answer, average_kl=self.model.average_kl(requests[number], text) if text else None)
            completions = _completions(problem, _with_likelihoods(problem, answer, self.model))
            give(Answered(arm=piece.arm, completions=completions))
            give(Judged(arm=piece.arm, judgements=judgements(problem, completions, self.version)))

        self.model.complete_many(requests, on_result=note)


def has_pairs(entry: ArmEntry, adapter_set: AdapterSet | None) -> bool:
    """Whether an arm has an average KL: several adapters that answer greedily."""
    return adapter_set is not None and adapter_set.k > 1 and entry.n_rows > 1 and entry.temperature == 0


def measured_text(problem: Problem, texts: Sequence[str], settings: EvaluationSettings) -> str:
    """The answer of one adapter, drawn by the problem's seed, that the KL is measured on: all would cost k times."""
    return texts[_seed(problem, settings) % len(texts)]


def _answer(result: CompletionResult) -> ArmAnswer:
    if not result.alternatives:
        raise Unavailable("no completion came back; run again to go on there")
    return ArmAnswer(result=result, seconds=result.timing.total_ms / 1000)


def _with_likelihoods(problem: Problem, answer: ArmAnswer, model: Model) -> ArmAnswer:
    if not problem.likelihoods:
        return answer
    found = model.log_likelihoods(problem.likelihoods)
    return replace(answer, is_likeliest={name: is_likeliest(problem, values) for name, values in found.items()})


def _request(
    problem: Problem, entry: ArmEntry, settings: EvaluationSettings, adapter_set: AdapterSet | None
) -> CompletionRequest:
    is_infill = problem.layout == "infill"
    is_single = adapter_set is not None and entry.arm.recipe is not None and entry.arm.recipe.is_single
    return CompletionRequest(
        prefix=problem.prefix if is_infill else problem.instruction,
        suffix=problem.suffix if is_infill else "",
        layout="infill" if is_infill else "instruct",
        begun=problem.begun,
        language="python" if is_infill else "",
        adapters=(adapter_set.adapters[0].name,) * entry.n_rows if adapter_set and is_single else (),
        k=entry.n_rows,
        lead_first=entry.is_served,
        use_base=adapter_set is None and not entry.is_served,
        max_tokens=settings.max_tokens or MAX_TOKENS[problem.layout],
        stop=stop_of(problem),
        temperature=entry.temperature,
        top_p=TOP_P if entry.temperature else 1.0,
        seed=_seed(problem, settings),
    )


def _seed(problem: Problem, settings: EvaluationSettings) -> int:
    return settings.seed ^ zlib.crc32(problem.task_id.encode())  # not its place, which changes with --limit


def stop_of(problem: Problem) -> StopPolicy:
    """Where an answer ends."""
    return "none" if problem.layout == "choice" else STOP


def _completions(problem: Problem, answer: ArmAnswer) -> list[Completion]:
    """What came back for one problem, as rows."""
    return [
        Completion(
            problem_id=problem_id(problem),
            task_id=problem.task_id,
            place=place,
            adapter=item.adapter,
            label=item.label,
            text=item.text,
            n_tokens=item.n_tokens,
            mean_logprob=item.mean_logprob,
            finish=item.finish,
            seconds=answer.seconds,
            quantization=answer.result.quantization,
            device=answer.result.device,
            average_kl=answer.average_kl,
            is_likeliest=answer.is_likeliest.get(item.adapter),
        )
        for place, item in enumerate(answer.result.alternatives)
    ]
