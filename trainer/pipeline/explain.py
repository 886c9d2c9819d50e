"""What the parts of a partition are about: the words and the means that set each apart, typical samples, a label.

Only reads. Words are counted once per sample; how telling one is, is its log odds against the other parts. So are the
means by which its code gets to a result (`trainer.evaluate.sameness.approach`), which tell parts by solution apart.
"""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlite_utils import Database

from trainer.attribute.approach import sample_means
from trainer.attribute.lexical import words
from trainer.data.samples import Sample
from trainer.pipeline.stage_rows import load_parts
from trainer.rows.stages import PartitionRun

N_TERMS = 8
N_EXAMPLES = 5
_MIN_LETTERS = 3  # shorter words are names of variables


@dataclass(frozen=True, kw_only=True)
class Mean:
    """A means, as `while` or `list comprehension`: the shares of the samples that have it, here and elsewhere."""

    name: str
    share: float
    share_elsewhere: float


@dataclass(frozen=True, kw_only=True)
class PartView:
    """One part for people; `proposed` is a label, of means or of terms, "" where nothing sets the part apart."""

    name: str
    label: str
    n_samples: int
    terms: tuple[str, ...]
    means: tuple[Mean, ...]
    examples: tuple[str, ...]  # first lines of the problems
    proposed: str


def explain(db: Database, run: PartitionRun) -> list[PartView]:
    """A view of each part of a finished partition run.

    Raises:
        BadInput: a part is empty.
    """
    parts = load_parts(db, run, None)
    terms = telling_words({part: [_words(sample) for sample in own] for part, own in parts.items()})
    means = telling_means({part: [sample_means(sample) for sample in own] for part, own in parts.items()})
    is_by_solution = run.settings.partition.method == "solutions"
    return [
        PartView(
            name=run.figures.names[part],
            label=run.figures.labels[part],
            n_samples=len(own),
            terms=tuple(terms[part]),
            means=tuple(means[part]),
            examples=tuple(_first_line(sample) for sample in _typical(own, terms[part])),
            proposed=", ".join([mean.name for mean in means[part][:3]] if is_by_solution else terms[part][:3]),
        )
        for part, own in parts.items()
    ]


def telling_means(parts: Mapping[int, Sequence[frozenset[str]]]) -> dict[int, list[Mean]]:
    """The most telling means of each part's samples with their shares, best first."""
    found = {}
    for part, names in telling_words(parts).items():
        elsewhere = [own for other, all_own in parts.items() if other != part for own in all_own]
        found[part] = [
            Mean(name=name, share=_share(name, parts[part]), share_elsewhere=_share(name, elsewhere)) for name in names
        ]
    return found


def _share(name: str, samples: Sequence[frozenset[str]]) -> float:
    return sum(name in own for own in samples) / max(1, len(samples))


def telling_words(parts: Mapping[int, Sequence[frozenset[str]]]) -> dict[int, list[str]]:
    """The words of each part's samples that are most telling of it, best first: in more than one sample and z > 1.

    Source: log odds with one half added to each count, over its standard error (Monroe et al. 2008).
    """
    counts = {part: Counter(word for sample in own for word in sample) for part, own in parts.items()}
    whole = sum(counts.values(), Counter[str]())
    n_samples = sum(map(len, parts.values()))
    found = {}
    for part, own in parts.items():
        scores = {
            word: _z(n, len(own), whole[word] - n, n_samples - len(own)) for word, n in counts[part].items() if n > 1
        }
        telling = sorted((word for word in scores if scores[word] > 1), key=lambda word: (-scores[word], word))
        found[part] = telling[:N_TERMS]
    return found


def _z(n: int, n_own: int, n_others: int, n_all_others: int) -> float:
    counts = [n + 0.5, n_own - n + 0.5, n_others + 0.5, n_all_others - n_others + 0.5]
    return math.log(counts[0] * counts[3] / (counts[1] * counts[2])) / math.sqrt(sum(1 / count for count in counts))


def _words(sample: Sample) -> frozenset[str]:
    return frozenset(
        word
        for word in words(f"{sample.problem}\n{sample.solution}")
        if len(word) >= _MIN_LETTERS and not word.isdigit()
    )


def _typical(samples: Sequence[Sample], terms: Sequence[str]) -> list[Sample]:
    """Those with most of the terms; among equals the shorter ones, which are quicker to read."""
    return sorted(samples, key=lambda own: (-len(_words(own).intersection(terms)), len(own.solution), own.id))[
        :N_EXAMPLES
    ]


def _first_line(sample: Sample) -> str:
    return next((line.strip()[:100] for line in sample.problem.splitlines() if line.strip()), "")
