"""Functions of INC's that are replaced for a while."""

from __future__ import annotations

from typing import Any

import pytest

from nc_sigopt_strategy.hosts.inc.calibration import CalibratedOnce
from nc_sigopt_strategy.hosts.inc.calibration.reaches import Reach, absent, replaced
from nc_sigopt_strategy.hosts.inc.calibration.usage import CalibrationUsage
from nc_sigopt_strategy.settings.choices import STOCK


class Inc:
    def method(self, value: int) -> int:
        return value

    @staticmethod
    def function(value: int) -> int:
        return value


def ten_more(real: Any, *arguments: Any) -> int:
    return int(real(*arguments)) + 10


REACHES = [Reach(Inc, "method", ten_more), Reach(Inc, "function", ten_more)]


def test_replaced_only_while_entered() -> None:
    before = dict(vars(Inc))
    with replaced(REACHES):
        assert Inc().method(1) == 11
        assert Inc.function(2) == 12
        assert Inc().function(2) == 12
    assert dict(vars(Inc)) == before


def test_restored_after_an_error() -> None:
    before = dict(vars(Inc))
    with pytest.raises(KeyboardInterrupt), replaced(REACHES):
        raise KeyboardInterrupt
    assert dict(vars(Inc)) == before


def test_absent_functions_are_named() -> None:
    assert absent(REACHES) == ""
    assert absent([*REACHES, Reach(Inc, "gone", ten_more)]) == "Inc.gone"


def test_a_framework_that_is_not_covered_is_left_to_inc(
    caplog: pytest.LogCaptureFixture,
) -> None:
    usage = CalibrationUsage()
    with CalibratedOnce("pytorch_fx", usage):
        pass
    assert "framework 'pytorch_fx' is not covered" in caplog.text
    assert list(usage.stock.values()) == [1]


def test_stock_mode_reaches_nowhere() -> None:
    usage = CalibrationUsage()
    with CalibratedOnce("pytorch_fx", usage, mode=STOCK):
        pass
    assert usage == CalibrationUsage(doing=usage.doing)


def test_each_reason_is_one_warning_and_counted(caplog: pytest.LogCaptureFixture) -> None:
    usage = CalibrationUsage()
    for _ in range(3):
        usage.left_to_inc("the moon is full")
    usage.left_to_inc("it rains")
    assert caplog.text.count("the moon is full") == 1
    assert usage.as_dict()["stock"] == {"the moon is full": 3, "it rains": 1}
