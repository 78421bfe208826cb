"""Two servers held against each other: what is a difference, of which kind, and what is none."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from nc_sigopt_benchmarks.research.server_facts.comparing import differences
from nc_sigopt_benchmarks.research.server_facts.exchange import Exchange, send_all
from nc_sigopt_benchmarks.research.server_facts.matching import mismatches
from nc_sigopt_benchmarks.research.server_facts.names import UnknownNameError, filled_in
from nc_sigopt_benchmarks.research.server_facts.report import between, from_facts, report
from nc_sigopt_benchmarks.research.server_facts.server import (
    Answer,
    Request,
    Server,
    ServerAwayError,
)
from nc_sigopt_benchmarks.research.server_facts.step import (
    Expected,
    Step,
    Steps,
    StepsFileError,
    read_steps,
)
from nc_sigopt_strategy.engine import EmbeddedDriver
from nc_sigopt_strategy.errors import SettingsError
from tests.server.serving import serve_in_thread

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "scripts" / "compare_servers.py"
SOME = [SCRIPT.parent / "server_requests" / f"{name}.yaml" for name in ("best", "suggestions")]
STEP = Step("a step", "GET", "/v1/things", Expected(200))


def kinds(one: Any, other: Any, first: dict[str, Any], second: dict[str, Any]) -> list[str]:
    """Kind and place of what sets two bodies apart, by what each server had kept before."""
    pair = (Exchange(STEP, Answer(200, one), first), Exchange(STEP, Answer(200, other), second))
    return [f"{d.kind} {d.where}".strip() for d in differences(*pair)]


@pytest.mark.parametrize(
    ("one", "other", "found"),
    [
        ({"a": 1}, {"a": 1}, []),
        ({"a": 1}, {"a": 2}, ["values a"]),
        ({"a": 1}, {"a": "1"}, ["types a"]),
        ({"a": 1}, {"a": True}, ["types a"]),
        ({"a": None}, {"a": {}}, ["types a"]),
        ({"a": 0}, {"a": None}, ["types a"]),
        ({"a": 1}, {"a": 1.0}, ["form a"]),
        ({"a": 1}, {"a": 1.5}, ["types a"]),
        ({"deleted": None}, {"deleted": False}, ["form deleted"]),
        ({"deleted": None}, {"deleted": True}, ["types deleted"]),
        ({"a": 1}, {"b": 1}, ["keys a", "keys b"]),
        ({}, {"number": 3}, ["form number"]),
        ({"user": "1"}, {"user": None}, ["form user"]),
        ({"created": 5}, {"created": 9}, []),
        ({"created": 5}, {"created": None}, ["types created"]),
        ({"message": "No."}, {"message": "Not here."}, []),
        ([{"a": 1}, {"a": 1}], [{"a": 2}, {"a": 3}], ["values 0.a"]),
        ([1, 2], [1], ["values"]),
        ("text", None, ["types"]),
    ],
    ids=range(19),
)
def test_kinds(one: Any, other: Any, found: list[str]) -> None:
    assert kinds(one, other, {}, {}) == found


def test_ids_are_the_same_by_what_they_were_kept_as() -> None:
    first, second = {"old": "1", "new": "2"}, {"old": "7", "new": "9"}
    assert kinds([{"id": "1"}, {"id": "2"}], [{"id": "7"}, {"id": "9"}], first, second) == []
    assert kinds({"id": "1"}, {"id": "9"}, first, second) == ["values id"]
    # The same number, and another thing.
    assert kinds({"id": "1"}, {"id": "1"}, first, {"new": "1", "old": "2"}) == ["values id"]
    assert kinds({"experiment": "4"}, {"experiment": "5"}, first, second) == []


def test_of_two_statuses_the_bodies_do_not_matter() -> None:
    one = Exchange(STEP, Answer(400, {"message": "No such", "status": 400}))
    other = Exchange(STEP, Answer(200, {"id": "3"}))
    (found,) = differences(one, other)
    assert str(found) == "status: 400 'No such' -> 200"
    unsent = Exchange(STEP, None, problem="needs {x}")
    assert "needs {x}" in str(differences(unsent, other)[0])
    assert differences(unsent, unsent) == []


def test_what_varies_is_not_compared() -> None:
    step = Step("s", "GET", "/", Expected(200), vary=frozenset({"assignments"}))
    pair = [Exchange(step, Answer(200, {"assignments": {"x": x}, "y": x})) for x in (1, 2)]
    assert [d.where for d in differences(*pair)] == ["y"]


@pytest.mark.parametrize(
    ("known", "got", "found"),
    [
        ({"a": 1}, {"a": 1, "b": 2}, []),
        ({"a": 1}, {"b": 2}, ["keys a"]),
        ({"a": "<absent>"}, {"a": None}, ["keys a"]),
        ({"a": "<absent>"}, {}, []),
        ({"a": "<string>"}, {"a": 3}, ["types a"]),
        ({"a": "<integer>"}, {"a": True}, ["types a"]),
        ({"a": "<number>"}, {"a": 3}, []),
        ({"a": "<anything>"}, {"a": None}, []),
        ({"a": "<anything>"}, {}, ["keys a"]),
        ({"a": None}, {"a": False}, ["types a"]),
        ({"a": 1}, {"a": 1.0}, []),
        ({"a": 1}, {"a": True}, ["types a"]),
        ({"<keys>": ["a"]}, {"a": 1, "engine": "x"}, []),
        ({"<keys>": ["a"]}, {"a": 1, "b": 2}, ["keys"]),
        ({"<keys>": ["a", "b"]}, {"a": 1}, ["keys"]),
        ([{"a": 1}], [{"a": 1}, {"a": 1}], ["values"]),
        ([2, 1], [1, 2], ["values 0", "values 1"]),
        ({"<each>": {"a": 1}}, [{"a": 1}, {"a": 2}], ["values 1.a"]),
        ({"<length>": 2}, [1], ["values"]),
        ({"<length>": 0}, {}, ["types"]),
    ],
    ids=range(20),
)
def test_what_is_known_of_an_answer(known: Any, got: Any, found: list[str]) -> None:
    apart = mismatches(Expected(200, known), 200, got)
    assert [f"{d.kind} {d.where}".strip() for d in apart] == found


def test_a_placeholder_that_there_is_not_is_no_fact() -> None:
    with pytest.raises(ValueError, match="<strnig>"):
        mismatches(Expected(200, {"a": "<strnig>"}), 200, {"a": "b"})


def test_names_are_filled_in() -> None:
    kept = {"experiment": "12", "number": 3}
    assert filled_in("/v1/experiments/{experiment}/x", kept) == "/v1/experiments/12/x"
    assert filled_in({"a": "{number}", "b": ["{experiment}", 1]}, kept) == {"a": 3, "b": ["12", 1]}
    assert filled_in({"k{1..3}": 0}, {}) == {"k1": 0, "k2": 0, "k3": 0}
    assert filled_in(["v{9..10}", "{a*3}"], {}) == ["v9", "v10", "aaa"]
    with pytest.raises(UnknownNameError, match="suggestion"):
        filled_in("{suggestion}", kept)


class Scripted:
    """A server that says what a test wants, and remembers what it was asked."""

    def __init__(self, answers: Callable[[Request], Answer]) -> None:
        self._answers = answers
        self.asked: list[Request] = []

    def send(self, request: Request) -> Answer:
        self.asked.append(request)
        return self._answers(request)


def test_what_needs_an_answer_that_failed_is_left_out_and_said() -> None:
    steps = Steps(
        "some",
        (
            Step("made", "POST", "/v1/things", Expected(200), body={}, keep={"thing": "id"}),
            Step("seen", "GET", "/v1/things/{thing}", Expected(200)),
        ),
    )
    good = Scripted(lambda request: Answer(200, {"id": "5"}))
    bad = Scripted(lambda request: Answer(500, {"message": "broken"}))
    answered, failed = send_all(good, steps, "run"), send_all(bad, steps, "run")
    assert [request.path for request in good.asked] == ["/v1/things", "/v1/things/5"]
    assert len(bad.asked) == 1
    assert from_facts("some", answered) == []
    assert [finding.step for finding in from_facts("some", failed)] == ["made", "seen"]
    text = report(between("some", answered, failed), 2)
    assert "status: 200 -> 500 'broken'" in text
    assert "needs {thing}" in text
    assert "2 answered differently (2 of status" in text


def test_a_reason_excuses_only_what_it_is_the_reason_for() -> None:
    step = Step(
        "s", "GET", "/", Expected(200, {"a": 1}), ours=Expected(400), why="it is better so"
    )
    real, ours, else_ = (
        [Exchange(step, answer)]
        for answer in (Answer(200, {"a": 1}), Answer(400, {}), Answer(500, {}))
    )
    assert between("some", real, real) == []
    for pair in ((real, ours), (ours, real)):
        assert [finding.why for finding in between("some", *pair)] == ["it is better so"]
    for pair in ((real, else_), (else_, ours)):
        assert [finding.why for finding in between("some", *pair)] == [None]
    assert [finding.why for finding in from_facts("some", ours)] == ["it is better so"]
    assert [finding.why for finding in from_facts("some", else_)] == [None]
    assert from_facts("some", real) == []


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "no list `steps`"),
        ("steps: 3", "no list `steps`"),
        ("steps: [", "cannot be read"),
        ("steps: [{send: GET /}]", "without a name"),
        ("steps: [{name: a, send: LOOK /, real: {status: 200}}]", "'LOOK /'"),
        ("steps: [{name: a, send: GET v1, real: {status: 200}}]", "'GET v1'"),
        ("steps: [{name: a, send: GET /}]", "as `real`"),
        ("steps: [{name: a, send: GET /, real: {answer: 3}}]", "as `real`"),
        ("steps: [{name: a, send: GET /, real: {status: 200, keys: []}}]", "as `real`"),
        ("steps: [{name: a, send: GET /, as: me, real: {status: 200}}]", "'me'"),
        ("steps: [{name: a, send: GET /, colour: red, real: {status: 200}}]", "colour"),
        ("steps: [{name: a, send: GET /, real: {status: 1}, ours: {status: 2}}]", "`why`"),
        ("steps: [{name: a, send: GET /, real: {status: 1}, why: so}]", "`ours`"),
        (
            "steps: [{name: a, send: GET /, real: {status: 1}}, "
            "{name: a, send: GET /, real: {status: 1}}]",
            "two steps",
        ),
    ],
    ids=range(14),
)
def test_files_that_cannot_be_used(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "requests.yaml"
    path.write_text(text)
    with pytest.raises(StepsFileError, match=said) as caught:
        read_steps(path)
    assert str(path) in str(caught.value)


def test_the_token_is_in_no_picture_and_goes_nowhere_unencrypted() -> None:
    secret = "secret-of-the-test"
    assert secret not in repr(Server("https://sigopt.example", secret))
    for url in ("http://sigopt.example", "sigopt.example", "https://user name@x"):
        with pytest.raises(ServerAwayError) as caught:
            Server(url, secret)
        assert secret not in str(caught.value)
    Server("http://sigopt.example", secret, plain_http_hosts=("sigopt.example",))
    with pytest.raises(ServerAwayError, match="does not answer GET /health") as caught:
        Server("http://127.0.0.1:9", secret).send(Request("GET", "/health"))
    assert secret not in str(caught.value)


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("compare_servers", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["compare_servers"] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def urls(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[str]]:
    """Two servers whose ids are not the same, both with the token ``tok``."""
    folder = tmp_path_factory.mktemp("two")
    drivers = [
        EmbeddedDriver(f"sqlite:///{folder / name}.db", sampler="random", seed=seed)
        for seed, name in enumerate(("one", "other"))
    ]
    parameters = [{"name": "x", "type": "int", "bounds": {"min": 0, "max": 1}}]
    drivers[0].answer("POST", ["experiments"], {"name": "before", "parameters": parameters})
    with (
        serve_in_thread(drivers[0], "tok") as (one, _),
        serve_in_thread(drivers[1], "tok") as (other, _),
    ):
        yield [one, other]
    for driver in drivers:
        driver.close()


def test_two_servers_of_ours_answer_the_same(
    script: ModuleType,
    urls: list[str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("NC_SIGOPT_FIRST_TOKEN", "tok")
    monkeypatch.setenv("NC_SIGOPT_SECOND_TOKEN", "tok")
    assert script.main(urls, SOME, ()) == 0
    assert "requests; 0 answered differently" in capsys.readouterr().out
    monkeypatch.setenv("NC_SIGOPT_SECOND_TOKEN", "wrong")
    assert script.main(urls, SOME[:1], ()) == 1
    assert "status: 200 -> 403" in capsys.readouterr().out


def test_one_server_is_held_against_the_facts(
    script: ModuleType,
    urls: list[str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("NC_SIGOPT_FIRST_TOKEN", "tok")
    assert script.main(urls[1:], SOME, ()) == 0
    told = capsys.readouterr().out
    assert "Differences on purpose" in told
    assert "why: of several that take one back one succeeds" in told


def test_a_token_that_is_missing_is_named(
    script: ModuleType, urls: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NC_SIGOPT_FIRST_TOKEN", raising=False)
    with pytest.raises(SettingsError, match="NC_SIGOPT_FIRST_TOKEN"):
        script.main(urls, SOME, ())
