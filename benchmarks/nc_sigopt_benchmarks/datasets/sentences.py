"""Sentences that are on every machine: the first ones of the standard library's docstrings.

English as engineers write it, a few words to a few lines long; the same with each version of
Python.
"""

from __future__ import annotations

import importlib
import inspect
import re

# Documented throughout, and imported without side effects.
_MODULES = (
    "argparse", "ast", "asyncio", "base64", "bisect", "calendar", "cmd", "codecs", "collections",
    "configparser", "contextlib", "copy", "csv", "datetime", "decimal", "difflib", "dis",
    "doctest", "email.message", "enum", "fractions", "functools", "gettext", "glob", "gzip",
    "hashlib", "heapq", "html.parser", "http.client", "http.server", "inspect", "io", "ipaddress",
    "itertools", "json", "locale", "logging", "logging.handlers", "math", "mimetypes",
    "multiprocessing.pool", "os", "pathlib", "pickle", "pprint", "queue", "random", "re", "sched",
    "selectors", "shutil", "smtplib", "socket", "socketserver", "ssl", "statistics", "string",
    "struct", "subprocess", "symtable", "tarfile", "tempfile", "textwrap", "threading", "time",
    "timeit", "tokenize", "traceback", "types", "typing", "unittest", "urllib.parse",
    "urllib.request", "uuid", "warnings", "wave", "weakref", "xml.dom.minidom",
    "xml.etree.ElementTree", "zipfile",
)  # fmt: skip
_FEWEST_WORDS, _MOST_LETTERS = 4, 300
_END = re.compile(r"(?<=[.!?])\s")


def sentences() -> list[str]:
    """Sentences of four words and more, in a fixed order and none of them twice."""
    found: dict[str, None] = {}
    for name in _MODULES:
        module = importlib.import_module(name)
        for _, thing in sorted(vars(module).items(), key=lambda item: item[0]):
            if inspect.isclass(thing) or inspect.isroutine(thing):
                found.update(dict.fromkeys(_first_sentences(thing)))
    return list(found)


def _first_sentences(thing: object) -> list[str]:
    """That of a function, or of a class and its methods."""
    things = [thing, *vars(thing).values()] if inspect.isclass(thing) else [thing]
    return [sentence for each in things if (sentence := _first_sentence(each))]


def _first_sentence(thing: object) -> str:
    documented = inspect.isclass(thing) or inspect.isroutine(thing)
    said = inspect.getdoc(thing) if documented else None
    paragraphs = [p for p in (said or "").split("\n\n") if p.strip()]
    # The first of builtins is a signature.
    prose = (p for p in paragraphs if "->" not in p and not re.match(r"\s*[\w.]+\(", p))
    sentence = _END.split(" ".join(next(prose, "").split()))[0]
    plain = sentence.isascii() and sentence[:1].isalpha() and sentence.endswith((".", "!", "?"))
    long_enough = len(sentence.split()) >= _FEWEST_WORDS and len(sentence) <= _MOST_LETTERS
    return sentence if plain and long_enough else ""
