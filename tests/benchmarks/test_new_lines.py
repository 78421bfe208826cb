"""What is shown of a log that another process writes."""

from __future__ import annotations

from pathlib import Path

from nc_sigopt_benchmarks.running.new_lines import NewLines


def test_each_line_is_shown_once_when_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "log.txt"
    path.write_text("before\n")
    shown: list[str] = []
    with path.open("ab") as log, NewLines(path, shown.append) as lines:
        for written, expected in (
            (b"", []),
            (b"one\ntw", ["one"]),
            (b"o\n\x1b[2Jthree\n", ["one", "two", "\\x1b[2Jthree"]),
            (b"\xff", ["one", "two", "\\x1b[2Jthree"]),
        ):
            log.write(written)
            log.flush()
            lines.show()
            assert shown == expected
    assert len(shown) == 4, "the last line, which nobody ends any more"
