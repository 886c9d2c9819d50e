"""What it would cost to serve a set that acts on the completion alone where adapters act on the prompt, too.

`python -m tests.remote.served_anyway --gaps 20`: the shipped set on our own gaps, in the engine of this machine, as it
was trained and as a server would have it; so nothing else differs, be it weights or the choice of tokens.
"""

from dataclasses import replace

import click
import torch

from spa_lsp.completion import CompletionRequest
from spa_lsp.lm.completer import LocalCompleter
from spa_lsp.prompt import clean_text, encode_text
from tests.remote.real_server import SHIPPED
from trainer.evaluate.benchmarks.own import load_own

WAYS = ("completion", "all")


def logprobs_of(completer, problem, way):
    """Of each adapter at each place of the solution, `[K, T, V]`, and the solution's tokens, `[T]`."""
    completer.adapter_set = replace(completer.adapter_set, activation=way)
    request = CompletionRequest(prefix=problem.prefix, suffix=problem.suffix)
    owed = completer._prompt(request).owed
    tokens = encode_text(completer.base.prompt, owed + clean_text(problem.solution))
    return torch.cat(list(completer.next_token_logprobs(request, problem.solution)), dim=1), torch.tensor(tokens)


def loss_of(logprobs, tokens):
    return -logprobs.gather(2, tokens[None, :, None].expand(len(logprobs), -1, 1)).mean().item()


def compare(completer, problem):
    """Tokens; nats per token in both ways; the KL of the second from the first; the share of equal likeliest tokens."""
    (served, tokens), (anyway, _) = (logprobs_of(completer, problem, way) for way in WAYS)
    kl = (served.exp() * (served - anyway)).sum(-1).mean().item()
    agreed = (served.argmax(-1) == anyway.argmax(-1)).float().mean().item()
    return len(tokens), loss_of(served, tokens), loss_of(anyway, tokens), kl, agreed


@click.command()
@click.option("--gaps", "n_gaps", default=20, show_default=True, help="The first of our own.")
def main(n_gaps):
    """Print the means over all tokens and adapters."""
    completer = LocalCompleter.load(adapter_set=SHIPPED)
    rows = torch.tensor([compare(completer, problem) for problem in load_own()[:n_gaps]])
    n_tokens, figures = rows[:, :1], rows[:, 1:]
    served, anyway, kl, agreed = ((figures * n_tokens).sum(0) / n_tokens.sum()).tolist()
    click.echo(f"loss {served:.4f} as trained, {anyway:.4f} served anyway (nats per token); {len(rows)} gaps")
    click.echo(f"KL {kl:.4f} nats per token, the likeliest token is the same on {agreed:.3f}")


if __name__ == "__main__":
    main()
