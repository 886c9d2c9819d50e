"""What a seed function really does: run in the sandbox on generated inputs, twice, and recorded as cases.

Only what has the same outcome both times, changes no argument and can be written as a literal is kept. Strings have
other hashes the second time: the order of a set is nobody's behaviour.
"""

import ast
import secrets
from collections.abc import Sequence

from trainer.evaluate.sandbox import Limits, run_program
from trainer.synthesize.cases import MAX_RESULT, Case, called, is_telling
from trainer.synthesize.clean import mask_personal
from trainer.synthesize.inputs import Arguments, candidate_inputs
from trainer.synthesize.seeds import Seed

MAX_CASES = 24
MIN_CASES = 5
MAX_RAISES = 3
CALL_S = 0.5
_LIMITS = Limits(wall_s=15.0, cpu_s=6.0, output_bytes=1 << 20)
# of a call that makes no sense, unless the function says itself that it raises this
_MISUSE = frozenset("TypeError AttributeError NameError RecursionError MemoryError TimeoutError SystemExit".split())

# behind the seed's own text; each line is a literal behind a mark that the seed cannot know
_RECORD = """

def _spa_record(mark, entry_point, inputs, seconds, most):
    import signal, sys
    def stop(*_):
        raise TimeoutError
    signal.signal(signal.SIGALRM, stop)
    for arguments in inputs:
        before = repr(arguments)
        signal.setitimer(signal.ITIMER_REAL, seconds)
        try:
            text, raised = repr(globals()[entry_point](*arguments)), ""
            if len(text) > most or repr(arguments) != before:
                text, raised = "None", "SystemExit"
        except BaseException as error:
            text, raised = "None", type(error).__name__
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
        sys.stdout.write("\\n" + mark + ascii((text, raised)) + "\\n")
        sys.stdout.flush()
"""


def observe(seed: Seed, *, rng_seed: int) -> list[Case]:
    """The cases of a seed; empty when what it does cannot be recorded, or would not tell it from a stub.

    Raises:
        Unavailable: there is no working sandbox.
    """
    groups = candidate_inputs(seed.text, seed.entry_point, seed=rng_seed)
    inputs = [arguments for group in groups for arguments in group]
    if not inputs:
        return []
    once, again = _run(seed, inputs, hash_seed=0), _run(seed, inputs, hash_seed=1)
    told = _raised_names(seed.text)
    lines = zip(inputs, once, again, strict=False)  # a program that was ended wrote fewer
    outcomes = [_case(arguments, first, second, told) for arguments, first, second in lines]
    # a problem shows its cases as they are: what would be masked there would be shown wrong
    outcomes = [None if case and mask_personal(called(seed.entry_point, case))[1] else case for case in outcomes]
    start = 0
    for group in groups:
        own = outcomes[start : start + len(group)]
        start += len(group)
        chosen = _choose([case for case in own if case is not None])
        if len(chosen) >= MIN_CASES and is_telling(chosen):
            return chosen  # groups come with the most sensible first
    return []


def _run(seed: Seed, inputs: Sequence[Arguments], *, hash_seed: int) -> list[str]:
    """What was recorded for each input, in order, as far as the program came."""
    mark = secrets.token_hex(8)
    call = f"\n_spa_record({mark!r}, {seed.entry_point!r}, {list(inputs)!r}, {CALL_S}, {MAX_RESULT})\n"
    program = seed.text + _RECORD + call
    outcome = run_program(program, _LIMITS, hash_seed=hash_seed)
    return [line.removeprefix(mark) for line in outcome.output.split("\n") if line.startswith(mark)]


def _case(arguments: Arguments, once: str, again: str, told: frozenset[str]) -> Case | None:
    if once != again:
        return None
    try:
        text, raised = ast.literal_eval(once)
        if raised:
            is_told = raised in told and raised not in _MISUSE
            return Case(arguments=arguments, raises=raised) if is_told else None
        value = ast.literal_eval(text)
    except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError):
        return None
    is_literal = isinstance(value, set) or repr(value) == text
    return Case(arguments=arguments, expected=value) if is_literal and value == value else None


def _choose(cases: Sequence[Case]) -> list[Case]:
    """At most `MAX_CASES`: one of each result first, then the others, a few of those that raise."""
    returning = [case for case in cases if not case.raises]
    first: dict[str, Case] = {}
    for case in returning:
        first.setdefault(repr(case.expected), case)
    taken = {id(case) for case in first.values()}
    rest = [case for case in returning if id(case) not in taken]
    raising = [case for case in cases if case.raises][:MAX_RAISES]
    return [*list(first.values()), *rest][: MAX_CASES - len(raising)] + raising


def _raised_names(source: str) -> frozenset[str]:
    """Exceptions that the source raises itself: raising them is what it is meant to do."""
    raised = (node.exc for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Raise))
    called = (error.func if isinstance(error, ast.Call) else error for error in raised)
    return frozenset(error.id for error in called if isinstance(error, ast.Name))
