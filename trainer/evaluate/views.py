"""What becomes of an alternative of a problem: as it came, and as a person gets it after the server's own work.

`raw` is the engine's text, which its stop policy has cut already; `shown` what is left when the server has polished it.
In an instruct answer both are judged by the code in it; an answer to a question is its text and no program.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from spa_lsp.completion import Alternative
from spa_lsp.text.ranking import make_offers
from spa_lsp.text.shown import shown_infills
from spa_lsp.text.site import Site, on_empty_line
from trainer.evaluate.benchmarks.problems import Problem
from trainer.evaluate.judge.extract import extract_code
from trainer.evaluate.sameness.distinct import ComparedText


@dataclass(frozen=True, kw_only=True)
class View:
    """One alternative in one of the two ways: the text to compare, and the completion that is judged."""

    text: str
    completion: str | None  # None: there is no program, the adapter was disabled

    def candidate(self, problem: Problem) -> ComparedText:
        """What `distinct.classify` compares."""
        is_none = self.completion is None or problem.layout == "choice"
        program = None if is_none else problem.program(self.completion or "")
        return ComparedText(text=self.text, code=self.completion or "", program=program)


def raw_view(problem: Problem, alternative: Alternative) -> View:
    """The alternative as the engine gave it."""
    if alternative.finish == "disabled":
        return View(text="", completion=None)
    return View(text=alternative.text, completion=_completion(problem, alternative.text))


def shown_view(problem: Problem, alternative: Alternative) -> View:
    """The alternative as an editor inserts it; nothing to insert leaves the gap open."""
    if problem.layout != "infill" or alternative.finish == "disabled":
        view = raw_view(problem, alternative)
        return View(text=view.completion or "", completion=view.completion)
    site = editor_site(problem)
    (shown,) = shown_infills([alternative], site)
    is_whole_lines = site.suffix != problem.suffix
    completion = f"{shown.text}\n" if is_whole_lines and shown.text else shown.text
    return View(text=completion, completion=completion)


def shown_order(
    problem: Problem,
    alternatives: Sequence[Alternative],
    *,
    has_lead: bool,
    ranker: Mapping[str, float] | None = None,
) -> list[int]:
    """The indices of the alternatives that an editor shows for an infilling, in its order, each another program.

    Args:
        problem: an infilling.
        alternatives: all of it, numbered by `index`.
        has_lead: the first one answered first, and is shown so where there is anything in it and no ranker.
        ranker: of the set.
    """
    lead = alternatives[0] if has_lead else None
    offers = make_offers(alternatives, editor_site(problem), counts={}, lead=lead, ranker=ranker)
    return [offer.alternative.index for offer in offers]


def editor_site(problem: Problem) -> Site:
    """The text around the cursor as an editor has it."""
    return on_empty_line(Site(prefix=problem.before, suffix=problem.suffix, language="python"))


def _completion(problem: Problem, text: str) -> str:
    if problem.layout != "instruct":
        return text
    return extract_code(problem.begun + text, problem.entry_point, stub=problem.stub)
