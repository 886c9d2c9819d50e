"""Imports of a program that the sandbox's Python does not have: those it never uses go, the others are named.

Nothing is run. A name counts as used wherever the program reads it, so a needed import never goes. A program is excused
for a package that exists: one of a list (what is installed would differ from machine to machine), or one that the
problem's own solution imports. A module that a model invented is a wrong answer like any other.
"""

import ast
import re
import sys
from collections.abc import Iterator

from spa_lsp.text.python_source import parse_python

_MISSING = re.compile(r"ModuleNotFoundError: No module named '([\w.]+)'")

# as they are imported: what general programs, and tasks of data and of the web, are written with
KNOWN_PACKAGES = frozenset(
    "aiofiles aiohttp anyio attr attrs babel bcrypt boto3 botocore bs4 cachetools cattrs celery certifi cffi chardet "
    "charset_normalizer click cryptography Crypto cv2 cycler Cython dask dateutil dill django docx dotenv fastapi "
    "faker filelock flask folium fsspec gensim geopandas geopy gmpy2 google graphviz gym h5py holidays httpx "
    "hypothesis idna imageio jax jinja2 joblib jsonschema jwt keras Levenshtein librosa lightgbm llvmlite loguru lxml "
    "markdown markupsafe marshmallow matplotlib mechanize mpmath msgpack multidict mypy_extensions natsort networkx "
    "nltk numba numexpr numpy openai openpyxl orjson packaging pandas paramiko peewee PIL pkg_resources plotly polars "
    "portion prettytable prompt_toolkit psutil psycopg2 pulp pyarrow pycparser pydantic pygame pygments pymongo "
    "pymysql pyparsing pytesseract pytest pytz rapidfuzz redis regex requests rich scipy seaborn selenium "
    "sentencepiece setuptools shapely simplejson six skimage sklearn sortedcontainers soundfile spacy sqlalchemy "
    "starlette statsmodels sympy tabulate tensorflow tenacity termcolor textblob texttable threadpoolctl tiktoken "
    "toml tomli tomlkit toolz torch torchvision tornado tqdm transformers trio typer typing_extensions tzlocal ujson "
    "unidecode urllib3 uvicorn websocket websockets werkzeug wordcloud wordninja wrapt xgboost xlrd xlsxwriter xlwt "
    "xmltodict xxhash yaml yarl zstandard".split()
)

Import = ast.Import | ast.ImportFrom


def without_unused(program: str) -> str:
    """The program without the third-party imports whose names it never reads; each leaves a `pass`, or the others.

    Imports in a `try` stay: such a program knows what to do without the package.
    """
    tree = parse_python(program)
    if tree is None:
        return program
    read = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Store)}
    guarded = {id(inner) for node in ast.walk(tree) if isinstance(node, ast.Try) for inner in ast.walk(node)}
    lines = program.encode().splitlines(keepends=True)  # the tree counts columns in bytes of UTF-8
    for node in sorted(_third_party(tree), key=lambda node: (node.lineno, node.col_offset), reverse=True):
        kept = [alias for alias in node.names if _is_needed(node, alias, read)]
        if len(kept) < len(node.names) and id(node) not in guarded:
            _replace(lines, node, _with_names(node, kept))
    return b"".join(lines).decode()


def missing_package(program: str, error: str, solution: str = "") -> str:
    """The package that a program was ended for, `numpy`; empty when it was another error, or its own making.

    Only a known package counts, or one that the program of the problem's `solution` imports.
    """
    found = _MISSING.match(error)
    tree = parse_python(program) if found else None
    if not found or tree is None or not any(_third_party(tree)):
        return ""
    package = found[1].partition(".")[0]
    return package if package in KNOWN_PACKAGES or package in _imported(solution) else ""


def _imported(program: str) -> set[str]:
    """The third-party packages that a program imports."""
    nodes = _third_party(parse_python(program) or ast.Module(body=[], type_ignores=[]))
    names = [
        [node.module or ""] if isinstance(node, ast.ImportFrom) else [a.name for a in node.names] for node in nodes
    ]
    return {name.partition(".")[0] for own in names for name in own}


def _third_party(tree: ast.Module) -> Iterator[Import]:
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=names) if any(_is_third_party(alias.name) for alias in names):
                yield node
            case ast.ImportFrom(module=str(module), level=0) if _is_third_party(module):
                yield node


def _is_third_party(module: str) -> bool:
    return module.partition(".")[0] not in sys.stdlib_module_names


def _is_needed(node: Import, alias: ast.alias, read: set[str]) -> bool:
    bound = alias.asname or (alias.name.partition(".")[0] if isinstance(node, ast.Import) else alias.name)
    is_own = isinstance(node, ast.Import) and not _is_third_party(alias.name)
    return is_own or bound == "*" or bound in read


def _with_names(node: Import, kept: list[ast.alias]) -> str:
    if not kept:
        return "pass"
    left = ast.Import(names=kept) if isinstance(node, ast.Import) else ast.ImportFrom(node.module, kept, node.level)
    return ast.unparse(left)


def _replace(lines: list[bytes], node: Import, text: str) -> None:
    """Put a text in the place of a statement; the lines below keep their numbers."""
    assert node.end_lineno is not None and node.end_col_offset is not None
    first, last = node.lineno - 1, node.end_lineno - 1
    tail = lines[last][node.end_col_offset :]
    lines[first] = lines[first][: node.col_offset] + text.encode() + tail
    lines[first + 1 : last + 1] = [b"\n"] * (last - first)
