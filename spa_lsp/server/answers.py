"""The answers given lately, and what they say when the user types on: no engine is asked for that."""

from collections import OrderedDict
from dataclasses import dataclass, replace

from spa_lsp.completion import Alternative, StopPolicy
from spa_lsp.server.spots import Spot, typed_since
from spa_lsp.text.postprocess import drop_line_rest, n_replaced
from spa_lsp.text.shown import Offer
from spa_lsp.text.site import Site

CACHED_ANSWERS = 64


@dataclass(frozen=True, kw_only=True)
class Answer:
    """The alternatives at one place, in the order in which they are shown, and the set they come from."""

    spot: Spot
    adapter_set: str
    offers: tuple[Offer, ...]
    is_whole: bool = True  # False: more are being computed
    is_late: bool = False  # the deadline ended some of them
    stop: StopPolicy = "multi"  # that they were asked for with

    @property
    def alternatives(self) -> tuple[Alternative, ...]:
        """The alternatives with the texts that are shown."""
        return tuple(offer.alternative for offer in self.offers)


class AnswerCache:
    """The last answers given, each good for its place and for all that follow by typing what it says."""

    def __init__(self) -> None:
        self._answers: OrderedDict[Spot, Answer] = OrderedDict()
        self._preferred: dict[str, tuple[str, int]] = {}  # by document: set and index of what is on the screen

    def find(self, spot: Spot) -> Answer | None:
        """The newest answer that has something to say here; the alternatives that were not typed are left out."""
        for answer in reversed(self._answers.values()):
            typed = typed_since(answer.spot, spot)
            if typed is not None and (found := narrowed(answer, typed, spot)) is not None:
                self._answers.move_to_end(answer.spot)  # it is what the user sees now
                return self._with_preferred_first(found) if typed else found
        return None

    def put(self, answer: Answer) -> None:
        """Keep an answer in place of an earlier one for its place; the oldest goes."""
        self._answers.pop(answer.spot, None)
        self._answers[answer.spot] = answer
        if len(self._answers) > CACHED_ANSWERS:
            self._answers.popitem(last=False)

    def latest(self, adapter_set: str, index: int, uri: str = "") -> tuple[Answer, Offer] | None:
        """The answer given last with this adapter's alternative, and that; in this document, if one is named."""
        for answer in reversed(self._answers.values()):
            if answer.adapter_set != adapter_set or uri not in ("", answer.spot.uri):
                continue
            for offer in answer.offers:
                if offer.alternative.index == index:
                    return answer, offer
        return None

    def prefer(self, adapter_set: str, index: int, uri: str = "") -> None:
        """This alternative is on the screen: when more of it is typed, what is left of it comes first."""
        if found := self.latest(adapter_set, index, uri):
            self._preferred[found[0].spot.uri] = (adapter_set, index)

    def forget(self, uri: str) -> None:
        """The document was closed."""
        self._preferred.pop(uri, None)
        for spot in [spot for spot in self._answers if spot.uri == uri]:
            del self._answers[spot]

    def clear(self) -> None:
        """Forget all: the adapters or the settings have changed."""
        self._preferred.clear()
        self._answers.clear()

    def _with_preferred_first(self, answer: Answer) -> Answer:
        preferred = self._preferred.get(answer.spot.uri)
        offers = sorted(
            answer.offers, key=lambda offer: (answer.adapter_set, offer.alternative.index) != preferred
        )  # sorting is stable: the others keep their order
        return replace(answer, offers=tuple(offers))


def narrowed(answer: Answer, typed: str, spot: Spot) -> Answer | None:
    """What an answer says once its user has typed this, up to this place; None when no alternative begins with it.

    Of the same programs in other words those count, too, that are not offered while nothing is typed.
    """
    if not typed:
        return answer
    is_closed = spot.n_behind > answer.spot.n_behind  # the editor closed a bracket or a quote
    rests = [_rest(offer, typed, spot.site, is_closed=is_closed) for offer in answer.offers]
    offers = tuple(rest for rest in rests if rest is not None)
    return replace(answer, offers=offers) if offers else None


def _rest(offer: Offer, typed: str, site: Site, *, is_closed: bool) -> Offer | None:
    """What is left of a program, in the words of those adapters that began like this; None when nothing is."""
    said = [each for each in offer.wordings if each.text.startswith(typed)]
    is_other = bool(said) and said[0] is not offer.alternative
    texts = [drop_line_rest(each.text[len(typed) :], site) if is_closed else each.text[len(typed) :] for each in said]
    left = [replace(each, text=text) for each, text in zip(said, texts, strict=True) if text.strip()]
    if not left:
        return None
    n = n_replaced(left[0].text, site) if is_closed or is_other else offer.n_replaced
    return replace(offer, alternative=left[0], same=tuple(left[1:]), n_replaced=n)
