"""How `trainer run` attributes and divides where nobody said how: by what the samples are. Pure."""

from collections.abc import Sequence
from dataclasses import replace

from trainer.attribute.approach import sample_means
from trainer.configs import AttributeMethod
from trainer.data.samples import Sample, content_key, spread
from trainer.partition.solutions import most_have_several, tasks_of, with_several
from trainer.pipeline.request import RunRequest

_MAX_SAMPLES = 64  # whose code is looked at


def choose_ways(samples: Sequence[Sample], request: RunRequest) -> tuple[RunRequest, str]:
    """The request with methods that suit these samples, and why.

    By solution where most tasks have several that can be told apart: every adapter then sees every topic, and they
    differ in how. Not at all for one adapter. Else as the configs say.
    """
    attribute, partition = request.attribute, request.partition
    if partition.k == 1:
        attribute, partition = replace(attribute, method="random"), replace(partition, method="whole")
        return replace(request, attribute=attribute, partition=partition), "one adapter learns from all samples"
    tasks = tasks_of([content_key(sample.problem) for sample in samples])
    several = f"{len(with_several(tasks))} of {len(tasks)} tasks have several solutions"
    if not most_have_several(tasks) or method_without_gradients(samples) != "approach":
        return request, f"{several}: parts by influence ({attribute.method}, {partition.method})"
    why = f"{several}: every adapter gets one of each, by approach; --method or --partition-method say otherwise"
    attribute, partition = replace(attribute, method="approach"), replace(partition, method="solutions")
    return replace(request, attribute=attribute, partition=partition), why


def method_without_gradients(samples: Sequence[Sample]) -> AttributeMethod:
    """By approach where most of these samples are code that says by which means it works, else by words.

    The parts that it makes are the more stable ones: 0.49 against 0.30, see the README.
    """
    looked_at = spread(samples, _MAX_SAMPLES)
    n_known = sum(bool(sample_means(sample)) for sample in looked_at)
    return "approach" if 2 * n_known > len(looked_at) else "bm25"
