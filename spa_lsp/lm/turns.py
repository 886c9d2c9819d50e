"""In which turns the rows of a request are decoded: the lead, the others behind it, some of these once more.

A row that ends as a program that is there already, as nothing, or as broken syntax where the lead is sound, begins
again with a branch of the lead that no other takes. If that brings nothing new either, what it said first stays.
"""

from collections.abc import Iterator

from spa_lsp.adapters.row_plan import RowPlan
from spa_lsp.completion import is_open
from spa_lsp.lm.decode import Row, RowRules, branch_off, new_rows
from spa_lsp.lm.vocabulary import Vocabulary
from spa_lsp.text.programs import Programs
from spa_lsp.text.site import on_empty_line


class Turns:
    """The rows of one request, each in its place, and which of them are decoded next."""

    def __init__(
        self,
        plan: RowPlan,
        rules: RowRules,
        vocabulary: Vocabulary,
        *,
        last_token: int,
        owed: str = "",
        may_try_again: bool = False,
    ) -> None:
        """All rows are fresh.

        Args:
            plan: which rows.
            rules: of all of them.
            vocabulary: of the base's tokenizer.
            last_token: of the prompt.
            owed: how each row must begin, see `Row`.
            may_try_again: rows that say nothing new do.
        """
        self._plan, self._rules, self._vocabulary = plan, rules, vocabulary
        self._last_token, self._owed, self._may_try_again = last_token, owed, may_try_again
        self.rows = self._fresh_rows()
        self.is_last = False  # rows try again now
        self._lead: Row | None = None
        self._programs: Programs | None = None  # of the lead and of who said something new; None: nobody tries again
        self._repeating: dict[int, Row] = {}  # by place, in the order of their ends
        self._turns = self._take_turns()
        if plan.has_lead:
            self.rows[0].make_lead()

    @property
    def n_waiting(self) -> int:
        """Rows that are known to come in a later turn."""
        if self._plan.has_lead and self._lead is None:
            return len(self.rows) - 1
        return 0 if self.is_last else len(self._repeating)

    def follow(self, lead: Row) -> None:
        """Let all rows branch off this one, which is none of them; before the first turn."""
        self._lead = lead

    def next(self) -> list[int]:
        """The places of the rows that come now, all of those before having ended; empty: no more come."""
        return next(self._turns, [])

    def note_end(self, row: Row) -> bool:
        """Note that a row has ended; whether it is to be told now, or what is in its place at the end."""
        if self._programs is None:
            return True
        is_news = row.is_whole and self._programs.add(row.text, is_open=is_open(row.finish))
        if self.is_last:
            self.rows[row.index] = row if is_news else self._repeating[row.index]
            return is_news
        if row.is_whole and not is_news:
            self._repeating[row.index] = row
        return is_news or not row.is_whole

    def _take_turns(self) -> Iterator[list[int]]:
        others = list(range(len(self.rows)))
        if self._plan.has_lead:
            yield [0]
            self._lead, others = self.rows[0], others[1:]
        if self._lead is None:
            yield others
            return
        if not others:
            return
        branch_off(self._lead, [self.rows[place] for place in others], self._plan.branches, self._vocabulary)
        if self._may_try_again and self._lead.is_whole:
            site = on_empty_line(self._rules.site)
            self._programs = Programs(site, self._lead.text, is_open=is_open(self._lead.finish))
        yield others
        if self._repeating:
            yield from self._try_again(self._lead)

    def _try_again(self, lead: Row) -> Iterator[list[int]]:
        fresh = [row for row in self._fresh_rows() if row.index in self._repeating]
        numbers = range(self._plan.first_spare_branch, self._plan.first_spare_branch + len(fresh))
        branch_off(lead, fresh, numbers, self._vocabulary)
        begun = [row for row in fresh if row.beginning]  # there may be no other branch
        for row in begun:
            self.rows[row.index] = row
        if begun:
            self.is_last = True
            yield [row.index for row in begun]

    def _fresh_rows(self) -> list[Row]:
        return new_rows(self._plan.streams, self._rules, self._last_token, self._owed)
