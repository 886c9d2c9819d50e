"""BBH, GPQA, MMLU and WinoGrande: questions with one right answer, each prompted in two ways.

generative: the chat turn `instruction` asks for the answer first and then for an explanation, as in SPA's paper (the
text after the answer is what differs between adapters); `read_answer` reads the answer off. log-likelihood: of the
pairs `likelihoods` (context, continuation) the one with the highest summed log-probability of its continuation is the
chosen option. Neither uses examples (0-shot). Free-text tasks of BBH have no options: only generative.
"""

import csv
import io
import json
import random
import re
import string
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from spa_lsp.errors import Damaged, NotFound
from trainer.evaluate.benchmarks.code import DATA
from trainer.evaluate.benchmarks.files import BenchmarkFile, check_rows, locate, read, read_folder
from trainer.evaluate.benchmarks.problems import Problem

BBH = BenchmarkFile(
    path="bbh/bbh",
    sha256="50a708ce2af6a9fa6cb34444ba9d7171cbc67442098026abef9321b283f8b7aa",
    get=f"get folder bbh/ of https://github.com/suzgunmirac/BIG-Bench-Hard as DIR/bbh/bbh/ and {DATA}",
)
GPQA = BenchmarkFile(
    path="gpqa",
    sha256="9753cfb54c80397cbbe558e2d11c6ab7e852f7bea783a24c329381be05b16972",
    get=f"get dataset.zip of https://github.com/idavidrein/gpqa into DIR/gpqa/, as it is, and {DATA}",
)
MMLU = BenchmarkFile(
    path="mmlu/test",
    sha256="f6f81a7d83ee7d76da610ea2e3bf65ea3769a1b00c7b621630d1cf2a29ade247",
    get=f"get folder test/ of the data.tar that https://github.com/hendrycks/test names as DIR/mmlu/test/ and {DATA}",
)
WINOGRANDE = BenchmarkFile(
    path="winogrande/dev.jsonl",
    sha256="037b22d26c0685f18347d4a78369f0db63eccf2bb859ffc7f6bb5cdffda61a76",
    get="get dev.jsonl of winogrande_1.1.zip, which https://github.com/allenai/winogrande names, "
    f"into DIR/winogrande/ and {DATA}",
)

GPQA_ZIPS = ("dataset.zip", "gpqa_slim.zip")  # the published one, and one of fewer columns
GPQA_MEMBER = "gpqa_main.csv"
# published beside the zip by its authors: it keeps the questions out of crawls, not out of reach
GPQA_PASSWORD = b"deserted-untie-orchid"
GPQA_COLUMNS = ("Record ID", "Question", "Correct Answer", *(f"Incorrect Answer {n}" for n in (1, 2, 3)))

# tasks of BBH whose inputs do not list their options
BBH_WORDS = {
    "boolean_expressions": ("True", "False"),
    "sports_understanding": ("yes", "no"),
    "web_of_lies": ("Yes", "No"),
}
GO_ON = "then go on and explain why it is right."
# asked alone for the answer first, a small base explains at length what it is going to answer
BEGUN = "The correct answer is"


def load_bbh(data_dir: Path | None) -> list[Problem]:
    """The 6511 questions of BIG-Bench Hard's 27 tasks (Suzgun et al. 2022, MIT).

    Raises:
        NotFound: a file is not there; says how to get it.
        Damaged: the content is not the published one.
    """
    tasks = {name: json.loads(text) for name, text in read_folder(data_dir, BBH, ".json").items()}
    check_rows(data_dir, BBH, tasks)
    return [
        _bbh(name, number, row, canary=task["canary"])
        for name, task in tasks.items()
        for number, row in enumerate(task["examples"])
    ]


def load_gpqa(data_dir: Path | None) -> list[Problem]:
    """The 448 questions of GPQA's main set (Rein et al. 2023, CC-BY-4.0), read out of the zip, which stays closed.

    The options' order is drawn for each question from its id, always the same. Errors as `load_bbh`.
    """
    rows = list(csv.DictReader(io.StringIO(_gpqa_text(data_dir), newline="")))
    check_rows(data_dir, GPQA, [[row.get(column) for column in GPQA_COLUMNS] for row in rows])
    return [_gpqa(row) for row in rows]


def load_mmlu(data_dir: Path | None) -> list[Problem]:
    """The 14042 questions of the test split's 57 subjects (Hendrycks et al. 2021, MIT); errors as `load_bbh`."""
    files = read_folder(data_dir, MMLU, "_test.csv")
    tables = {subject: list(csv.reader(io.StringIO(text.decode(), newline=""))) for subject, text in files.items()}
    check_rows(data_dir, MMLU, tables)
    return [_mmlu(subject, number, row) for subject, table in tables.items() for number, row in enumerate(table)]


def load_winogrande(data_dir: Path | None) -> list[Problem]:
    """The 1267 sentences of version 1.1's dev split (Sakaguchi et al. 2020, CC-BY-2.0); errors as `load_bbh`."""
    rows = [json.loads(line) for line in read(data_dir, WINOGRANDE).splitlines()]
    table = [[row.get(name) for name in ("sentence", "option1", "option2", "answer")] for row in rows]
    check_rows(data_dir, WINOGRANDE, table)
    return [_winogrande(number, *row) for number, row in enumerate(table)]


def read_answer(answer: str, options: Sequence[str]) -> str | None:
    """Which option a generated answer names first; without options, its first sentence or what follows "answer is".

    An answer begins with the option, perhaps in brackets or bold, or says "the answer is (B)", "the right option is B".
    """
    if not options:
        said = re.search(r"answer(?: is)?:?\s*(.+)", answer, re.IGNORECASE)
        text = said.group(1) if said else re.sub(r"^[\s:]+", "", answer)
        return text.partition("\n")[0].partition(". ")[0].strip(" \t\r.:*`$") or None
    names = "|".join(sorted(map(re.escape, options), key=len, reverse=True))
    if max(map(len, options)) > 1:
        names = f"(?i:{names})"  # yes or Yes, but a letter must be a capital: "a" is a word
    label = rf"[\s:(*`\"]*({names})(?![\w'])"
    before = r"(?i:(?:answer|(?:right|correct|best) option)(?: is)?:?)"
    found = re.match(label, answer) or re.search(before + label, answer)
    return next(option for option in options if option.casefold() == found.group(1).casefold()) if found else None


def is_right(problem: Problem, answer: str) -> bool:
    """Whether a generated answer is the right one; free text is compared without case and outer spaces."""
    found = read_answer(answer, problem.options)
    return found is not None and found.casefold() == problem.answer.casefold().strip()


def is_likeliest(problem: Problem, log_likelihoods: Sequence[float]) -> bool:
    """Whether the right option has the highest of the log-likelihoods, which are in the order of the options."""
    best = max(range(len(problem.options)), key=log_likelihoods.__getitem__)
    return problem.options[best] == problem.answer


def _gpqa_text(data_dir: Path | None) -> str:
    folder = locate(data_dir, GPQA)
    path = next((folder / name for name in GPQA_ZIPS if (folder / name).exists()), None)
    if path is None:
        raise NotFound(f"neither {' nor '.join(GPQA_ZIPS)} in {folder}; {GPQA.get}")
    try:
        with zipfile.ZipFile(path) as archive:
            member = next((name for name in archive.namelist() if name.endswith(f"/{GPQA_MEMBER}")), GPQA_MEMBER)
            return archive.read(member, pwd=GPQA_PASSWORD).decode()
    except (zipfile.BadZipFile, KeyError, RuntimeError, UnicodeDecodeError) as error:  # RuntimeError: the password
        raise Damaged(f"{path} is not GPQA's zip ({error}); {GPQA.get}") from error


def _bbh(task: str, number: int, row: Mapping[str, str], *, canary: str) -> Problem:
    question, target = row["input"], row["target"]
    letters = tuple(re.findall(r"^\(([A-Z])\) ", question, re.MULTILINE))
    is_lettered = target.strip("()") in letters
    words = BBH_WORDS.get(task) or tuple(re.findall(r"^- (\w+)\s*$", question, re.MULTILINE))
    options = letters if is_lettered else words if target in words else ()
    wanted = _wanted(is_lettered=is_lettered, options=options)
    return Problem(
        task_id=f"BBH/{task}/{number}",
        solution=target,
        benchmark="bbh",
        layout="choice",
        instruction=f"{question}\n\n{wanted}",
        begun=BEGUN,
        options=options,
        answer=target.strip("()") if is_lettered else target,
        likelihoods=tuple(
            (f"Q: {question}\nA:", f" ({option})" if is_lettered else f" {option}") for option in options
        ),
        canary=canary,
    )


def _wanted(*, is_lettered: bool, options: Sequence[str]) -> str:
    if is_lettered:
        return f"Begin with the letter of the right option, {GO_ON}"
    if options:
        return f"Begin with {' or '.join(options)}, {GO_ON}"
    return f"Begin with the answer alone on the first line, {GO_ON}"


def _gpqa(row: Mapping[str, str]) -> Problem:
    identity, question, right, *wrong = (row[column] for column in GPQA_COLUMNS)
    texts = [right, *wrong]
    random.Random(identity).shuffle(texts)
    return _lettered(
        task_id=f"GPQA/{identity}",
        benchmark="gpqa",
        about="",
        question=question.strip(),
        texts=[text.strip() for text in texts],
        answer=texts.index(right),
        canary=row.get("Canary String") or "",
    )


def _mmlu(subject: str, number: int, row: Sequence[str]) -> Problem:
    question, *texts, letter = row
    return _lettered(
        task_id=f"MMLU/{subject}/{number}",
        benchmark="mmlu",
        about=f" about {subject.replace('_', ' ')}",
        question=question.strip(),
        texts=texts,
        answer=string.ascii_uppercase.index(letter),
    )


def _lettered(
    *, task_id: str, benchmark: str, about: str, question: str, texts: Sequence[str], answer: int, canary: str = ""
) -> Problem:
    letters = tuple(string.ascii_uppercase[: len(texts)])
    listed = "\n".join([question, *(f"{letter}. {text}" for letter, text in zip(letters, texts, strict=True))])
    # the head and the form of Hendrycks et al., whose figures are the ones that are published
    context = f"The following are multiple choice questions (with answers){about}.\n\n{listed}\nAnswer:"
    return Problem(
        task_id=task_id,
        solution=letters[answer],
        benchmark=benchmark,
        layout="choice",
        instruction=f"{listed}\n\nBegin with the letter of the right option, {GO_ON}",
        begun=BEGUN,
        options=letters,
        answer=letters[answer],
        likelihoods=tuple((context, f" {letter}") for letter in letters),
        canary=canary,
    )


def _winogrande(number: int, sentence: str, first: str, second: str, answer: str) -> Problem:
    before, after = sentence.split("_")
    problem = _lettered(
        task_id=f"WinoGrande/{number}",
        benchmark="winogrande",
        about="",
        question=f"Which fills the gap? {sentence}",
        texts=(first, second),
        answer=int(answer) - 1,
    )
    # the rest of the sentence after each option (Trinh & Le 2018), as lm-evaluation-harness does
    return replace(problem, likelihoods=tuple((before + option, after) for option in (first, second)))
