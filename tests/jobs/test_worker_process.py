"""What a process tells of the error that ended it."""

from __future__ import annotations

import pytest

from nc_sigopt_strategy.errors import DataError, UsersCodeError
from nc_sigopt_strategy.jobs.worker_process import describe_error


def users_function() -> None:
    raise KeyError("no such label")


def test_an_error_of_the_users_code_has_its_way_there() -> None:
    with pytest.raises(KeyError) as caught:
        users_function()
    said = describe_error(caught.value)
    assert "in users_function" in said["crash"]
    assert not said["wrong_use"]


@pytest.mark.parametrize(
    ("error", "wrong_use", "crash"),
    [
        (DataError("There is no file."), True, None),
        (
            UsersCodeError("It failed.", traceback='File "pipeline.py"'),
            False,
            'File "pipeline.py"',
        ),
        (MemoryError(), False, None),
    ],
)
def test_others_have_none(error: Exception, wrong_use: bool, crash: str | None) -> None:
    said = describe_error(error)
    assert (said["wrong_use"], said["crash"]) == (wrong_use, crash)
    assert said["message"]
