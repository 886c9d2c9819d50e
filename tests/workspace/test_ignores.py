"""Which files are left alone; Git itself is the oracle for its own files."""

import os
import random
import subprocess

import pytest

from spa_lsp.workspace import ignores
from spa_lsp.workspace.ignores import is_for_context, path_of, uri_path, why_ignored, why_uri_ignored
from spa_lsp.workspace.rules import parse_rules
from tests.work import count_calls, not_for_ever

N_CASES, N_PATHS = 60, 20  # per seed
FOLDERS = ("", "a", "a/b", "foo", "foo/a", "c d")
NAMES = (
    "a",
    "b",
    "foo",
    "bar",
    "a.py",
    "foo.txt",
    "foo bar",
    "b]",
    "ü",
    "x-y",
    "Foo",
    "!a",
    "#b",
    "a*",
    "b\\",
    "c d",
    "-",
)
PIECES = (
    "a",
    "b",
    "foo",
    "*",
    "*",
    "**",
    "/",
    "/",
    "?",
    "[ab]",
    "[!a]",
    "[a-f]",
    "[]x]",
    "[[:alpha:]]",
    "[^[:digit:]]",
)
PIECES += (
    ".py",
    ".",
    "\\*",
    "\\a",
    "ü",
    " ",
    "bar",
    "[a",
    "\\",
    "-",
    "[a-]",
    "[\\]]",
    "[[:x:]]",
    "[[:al]",
    "**/",
    "/**",
)


@pytest.fixture(autouse=True)
def fresh(tmp_path, monkeypatch):
    ignores.forget()
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("HOME", str(tmp_path / "me"))
    (tmp_path / "me").mkdir()


@pytest.fixture
def root(tmp_path):
    folder = tmp_path / "work"
    folder.mkdir()
    return folder


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    ignores.forget()


def is_ignored(*args, **options):
    return why_ignored(*args, **options) != ""


def ignored_by_git(root, paths):
    """Those of the paths that Git ignores, by one process."""
    answer = subprocess.run(
        ["git", "check-ignore", "--stdin", "-z", "--no-index"],
        cwd=root,
        input=b"\0".join(os.fsencode(path) for path in paths),
        capture_output=True,
    )
    assert answer.returncode in (0, 1), answer.stderr
    return {os.fsdecode(path) for path in answer.stdout.split(b"\0") if path}


def random_pattern(rng):
    pattern = "".join(rng.choice(PIECES) for _ in range(rng.randint(1, 5)))
    pattern = rng.choice(("", "", "", "!", "/", "#")) + pattern + rng.choice(("", "", "", "/", " ", "\\ ", "\r"))
    return pattern


def make_cases(root, rng):
    """Folders of random ignore files, each case in a folder of its own so that one process answers all; their lines."""
    cases = {}
    for n in range(N_CASES):
        for folder in FOLDERS:
            n_lines = rng.choice((1, 1, 2, 3)) if folder == "" else rng.choice((0, 0, 1))
            lines = [random_pattern(rng) for _ in range(n_lines)]
            (root / f"p{n}" / folder).mkdir(parents=True, exist_ok=True)
            (root / f"p{n}" / folder / ".gitignore").write_bytes("\n".join(lines).encode())
            cases.setdefault(f"p{n}", []).append((folder, lines))
    return cases


@pytest.mark.parametrize("seed", range(4))
def test_git_and_we_agree(root, seed):
    rng = random.Random(seed)
    subprocess.run(["git", "init", "--quiet"], cwd=root, check=True)
    cases = make_cases(root, rng)
    names = ["/".join(rng.choice(NAMES) for _ in range(rng.randint(1, 4))) for _ in range(N_CASES * N_PATHS)]
    paths = {f"p{n % N_CASES}/{name}" for n, name in enumerate(names)}
    expected = ignored_by_git(root, paths)
    ours = {path for path in paths if is_ignored(path, root, is_folder=(root / path).is_dir())}
    assert [(path, path in ours, cases[path.split("/")[0]]) for path in sorted(expected ^ ours)] == []
    assert 0.05 < len(expected) / len(paths) < 0.95


@pytest.mark.parametrize(
    "name", [".env", ".env.local", "prod.env", "key.pem", "id_rsa", "ID_RSA.pub", "credentials.json"]
)
def test_a_file_that_may_hold_secrets_is_ignored(root, name):
    assert is_ignored(root / "deep" / name, root) and is_ignored(root / name, None)


@pytest.mark.parametrize(
    "name", ["env.py", "pem.py", "environment", ".envoy/a.py", "keyboard.py", "my_credentials/a.py"]
)
def test_other_files_are_not(root, name):
    assert not is_ignored(root / name, root)


# issue 13
@pytest.mark.parametrize(
    ("name", "language", "rule"),
    [
        ("credentials.go", "go", ""),
        ("app/secrets.py", "python", ""),
        ("credentials.service.ts", "typescript", ""),
        ("id_rsa_reader.rs", "rust", ""),
        ("secrets.tsx", "", ""),  # a file that no editor has open
        ("guide.asc", "asciidoc", ""),
        ("guide.asc", "plaintext", "built-in: *.asc"),
        ("guide.asc", "", "built-in: *.asc"),
        ("secrets.py", "plaintext", "built-in: secrets.*"),
        ("secrets.yaml", "yaml", "built-in: secrets.*"),
        ("secrets.sh", "shellscript", "built-in: secrets.*"),
        ("prod.tfvars", "terraform", "built-in: *.tfvars"),
        (".aws/credentials.py", "python", "built-in: .aws/"),
        (".env.py", "python", "built-in: .env.*"),
    ],
)
def test_a_name_that_is_source_code_is_no_secret(root, name, language, rule):
    assert why_ignored(root / name, root, language=language) == rule


# issue 13
def test_the_rule_that_ignores_a_file_is_told_with_its_origin(root):
    (root / ".gitignore").write_text("*.py\n!a.py\nbuild/\n")
    assert why_ignored(root / "b.py", root) == ".gitignore: *.py"
    assert why_ignored(root / "build" / "a.py", root) == ".gitignore: build/"
    assert why_ignored(root / "a.py", root) == ""
    assert why_ignored(root / "a.py", root, patterns=("a.*",)) == "setting ignore: a.*"


def test_all_in_a_folder_of_keys_is_ignored_even_when_it_is_the_workspace(root):
    assert is_ignored(root / ".ssh" / "config", root / ".ssh") and is_ignored(root / ".git" / "HEAD", root)


def test_the_user_may_take_back_a_built_in_secret_and_name_more(root):
    patterns = ("!credentials.json", "/private/", "*.secret.py")
    assert is_ignored(root / "credentials.json", root)
    assert not is_ignored(root / "credentials.json", root, patterns=patterns)
    assert is_ignored(root / "private" / "a.py", root, patterns=patterns)
    assert not is_ignored(root / "deep" / "private" / "a.py", root, patterns=patterns)


@pytest.mark.parametrize("name", ignores.IGNORE_FILES)
def test_every_kind_of_ignore_file_counts(root, name):
    write(root / name, "build/\n")
    assert is_ignored(root / "build" / "a.py", root) and not is_ignored(root / "a.py", root)


def test_one_kind_takes_nothing_back_of_another(root):
    write(root / ".gitignore", "a.py\n")
    write(root / ".spaignore", "!a.py\n!.env\n")
    assert is_ignored(root / "a.py", root) and is_ignored(root / ".env", root)


def test_the_repository_above_the_workspace_counts(root):
    (root / ".git" / "info").mkdir(parents=True)
    write(root / ".gitignore", "/sub/a.py\n")
    write(root / ".git" / "info" / "exclude", "b.py\n")
    assert is_ignored(root / "sub" / "a.py", root / "sub") and is_ignored(root / "sub" / "b.py", root / "sub")


def test_the_users_own_ignore_file_of_git_counts(root, tmp_path):
    write(tmp_path / "config" / "git" / "ignore", "*.log\n")
    assert is_ignored(root / "a.log", root) and not is_ignored(root / "a.py", root)


CONFIGURED = {
    "the default": {"config/git/ignore": "*.log\n"},
    "named": {"me/.gitconfig": '[core]\n\texcludesFile = "~/my ignores" # all\n', "me/my ignores": "*.log\n"},
    "named, not the default": {
        "me/.gitconfig": "[core]\nexcludesfile=~/mine\n",
        "me/mine": "a.py\n",
        "config/git/ignore": "*.log\n",
    },
    "in another file": {
        "me/.gitconfig": "[include]\npath = more\n",
        "me/more": "[Core]\nExcludesFile = ~/mine\n",
        "me/mine": "*.log\n",
    },
    "where Git looks, too": {"config/git/config": "[core]\nexcludesFile = ~/mine\n", "me/mine": "*.log\n"},
    "of this repository": {"work/.git/config": "[core]\nexcludesFile = mine\n", "work/mine": "*.log\n"},
    "none": {"me/.gitconfig": "[core]\nexcludesFile =\n", "config/git/ignore": "*.log\n"},
    "weaker than the others": {"config/git/ignore": "*.log\n", "work/.gitignore": "!a.log\n"},
    "broken": {"me/.gitconfig": "[core\n", "config/git/ignore": "a.py\n"},
}


@pytest.mark.parametrize("files", CONFIGURED.values(), ids=CONFIGURED)
def test_the_users_own_rules_are_those_that_git_takes(root, tmp_path, files):
    subprocess.run(["git", "init", "--quiet"], cwd=root, check=True)
    for name, text in files.items():
        write(tmp_path / name, text)
    paths = ("a.log", "b/a.log", "a.py")
    expected = ignored_by_git(root, paths) if "[core\n" not in files.values() else {"a.py"}  # Git gives up
    assert {path for path in paths if is_ignored(root / path, root)} == expected


def test_the_users_own_file_may_be_a_link_and_one_of_the_workspace_not(root, tmp_path):
    subprocess.run(["git", "init", "--quiet"], cwd=root, check=True)
    write(tmp_path / "rules", "*.log\n")
    (root / "b").mkdir()
    (root / "b" / ".gitignore").symlink_to(tmp_path / "rules")
    assert not is_ignored(root / "b" / "a.log", root) and not ignored_by_git(root, ["b/a.log"])
    (tmp_path / "config" / "git").mkdir(parents=True)
    (tmp_path / "config" / "git" / "ignore").symlink_to(tmp_path / "rules")
    ignores.forget()
    assert is_ignored(root / "a.log", root) and ignored_by_git(root, ["a.log"])


def test_a_changed_configuration_of_git_is_noticed(root, tmp_path):
    write(tmp_path / "me" / "mine", "*.log\n")
    assert not is_ignored(root / "a.log", root)
    write(tmp_path / "me" / ".gitconfig", "[core]\nexcludesFile = ~/mine\n")
    assert is_ignored(root / "a.log", root)


def test_a_further_working_tree_has_the_rules_of_its_repository(root, tmp_path):
    git = ["git", "-c", "user.name=x", "-c", "user.email=x@x"]
    for command in (["init", "--quiet"], ["commit", "--quiet", "--allow-empty", "-m", "x"]):
        subprocess.run([*git, *command], cwd=root, check=True)
    subprocess.run([*git, "worktree", "add", "--quiet", str(tmp_path / "tree")], cwd=root, check=True)
    write(root / ".git" / "info" / "exclude", "*.log\n")
    tree = tmp_path / "tree"
    assert ignored_by_git(tree, ["a.log"]) and is_ignored(tree / "a.log", tree)


def test_without_git_its_usual_files_count(root, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    write(tmp_path / "config" / "git" / "ignore", "*.log\n")
    assert is_ignored(root / "a.log", root)


def test_a_link_to_an_ignored_file_is_ignored(root):
    write(root / ".env", "KEY=1")
    (root / "notes.txt").symlink_to(root / ".env")
    assert is_ignored(root / "notes.txt", root)


def test_a_changed_ignore_file_is_noticed(root, monkeypatch):
    monkeypatch.setattr(ignores, "FRESH_S", 0.0)
    assert not is_ignored(root / "a.py", root)
    (root / ".spaignore").write_text("a.py\n")
    assert is_ignored(root / "a.py", root)


def test_an_ignore_file_that_is_a_pipe_hangs_nobody(root):
    os.mkfifo(root / ".gitignore")
    assert not is_ignored(root / "a.py", root)


def test_a_hostile_line_costs_little(root):
    write(root / ".gitignore", f"{'*a' * 40}b\n{'**/a/' * 40}b\n{'[' * 2000}\n")
    with not_for_ever():
        assert not is_ignored(root / "/".join(["a" * 200] * 18), root)
        assert not is_ignored(root / "/".join(["a"] * 1800), root)


def test_a_verdict_is_cheap_the_second_time(root, monkeypatch):
    monkeypatch.setattr(ignores, "FRESH_S", 3600.0)
    first, second = (count_calls(why_ignored, str(root / "a.py"), str(root)) for _ in range(2))
    assert second < 50 < first


@pytest.mark.parametrize(
    ("uri", "is_left_alone"),
    [
        ("file:///w/a.py", False),
        ("file:///w/%2Eenv", True),
        ("file://localhost/w/.env", True),
        ("untitled:Untitled-1", False),
        ("untitled:/w/.env", True),
        ("git:/w/.env?ref", True),
        ("vscode-remote://host/w/id_rsa", True),
        ("file://[", False),
    ],
)
def test_documents_are_judged_by_their_uri(uri, is_left_alone):
    assert bool(why_uri_ignored(uri, "/w")) == is_left_alone


# issue 13
@pytest.mark.parametrize(
    ("uri", "path"),
    [
        ("vscode-notebook-cell:/w/private/n.ipynb#W0sZmlsZQ%3D%3D", "/w/private/n.ipynb"),
        ("untitled:/w/private/a.py", "/w/private/a.py"),
        ("untitled:Untitled-1", None),
        ("vscode-remote://ssh-remote%2Bhost/w/private/a.py", "/w/private/a.py"),
        ("file://host/share/private/a.py", "/share/private/a.py"),
        ("git:/w/private/a.py?%7B%7D", "/w/private/a.py"),
        ("made-up:///w/private/%61.py", "/w/private/a.py"),
        ("made-up:nothing", None),
        ("file://[", None),
    ],
)
def test_a_path_is_found_in_every_scheme_that_has_one(uri, path):
    assert path_of(uri) == path
    assert bool(why_uri_ignored(uri, "/w", patterns=("private/",))) is (path is not None)
    assert uri_path(uri) is None  # none is read from the disk


# issue 13
def test_what_has_no_path_is_matched_by_its_name():
    assert why_uri_ignored("untitled:notes.py", "/w", patterns=("notes.*",))
    assert not why_uri_ignored("made-up:notes.py#x.key", "/w", patterns=("other.*",))


# issue 13
def test_the_user_s_rules_hold_outside_the_workspace(root):
    assert is_ignored("/elsewhere/private/a.py", root, patterns=("private/",))
    assert is_ignored("/elsewhere/private/a.py", None, patterns=("private/",))


# issue 13
def test_documents_of_unknown_schemes_are_no_context():
    assert is_for_context("file:///w/a.py") and is_for_context("vscode-notebook-cell:/w/n.ipynb#1")
    assert not is_for_context("output:tasks") and not is_for_context("git:/w/a.py")


def of_45000(pattern):
    return parse_rules("\n".join(pattern.format(n) for n in range(45_000)).encode())


MANY = ["build/out-{}/**/*.o", "build/file-{}.o", "*.o{}", "name-{}", "**/name-{}/", "/a/*/name-{}"]


# issue 13
@pytest.mark.parametrize("pattern", MANY)
def test_of_a_huge_file_a_path_is_compared_with_few_lines(pattern, monkeypatch):
    rules, compiled = of_45000(pattern), []
    monkeypatch.setattr("spa_lsp.workspace.rules._translate", lambda pattern: compiled.append(pattern) or b"x")
    for step in ("build", "build/out-17", "build/out-17/x.o17", "a/b/name-17"):
        rules.last(step.encode(), is_folder=True)
    assert len(compiled) <= 2


# issue 13
@pytest.mark.parametrize(
    ("line", "path"),
    [
        ("build/out-17/**/*.o", "build/out-17/a/b.o"),
        ("build/out-17/**/*.o", "build/out-17/b.o"),
        ("*.tar.gz", "x/a.tar.gz"),
        ("**/name", "name"),
        ("a/**/name", "a/name"),
        ("a/**", "a/b"),
        ("a**/b", "a/b"),
        ("x*", "y/x.y"),
        ("a/b/c", "a/b/c"),
        ("/a[b]c", "abc"),
        (r"a\*c", "q/a*c"),
    ],
)
def test_a_rule_is_found_by_whatever_of_it_is_literal(line, path):
    found = parse_rules(f"other\n{line}\n!elsewhere".encode()).last(path.encode(), is_folder=False)
    assert found is not None and found.line == line
