"""Progress: silent when short, a moving line in a terminal, a few whole lines in a log, a bar in a notebook."""

import io

import pytest

from meshlogs.progress import Progress, progress


class Terminal(io.StringIO):
    def isatty(self):
        return True


def at(stream, total=1_000, seconds=30, unit="bytes", note=""):
    """A counter that moves one hundredth of its total in each hundredth of the time."""
    now = [0.0]
    done = Progress(total, "reading", unit, stream, clock=lambda: now[0])
    for step in range(1, 101):
        now[0] = step * seconds / 100
        done(10, note)
    done.close()
    return stream.getvalue()


def test_short_work_is_silent_everywhere():
    assert at(io.StringIO(), seconds=0.5) == ""
    assert at(Terminal(), seconds=0.5) == ""
    with progress(10, "reading", stream=(stream := io.StringIO())) as done:
        done(10)
    assert stream.getvalue() == ""


def test_a_terminal_gets_one_line_that_is_taken_away():
    told = at(Terminal())
    assert "\n" not in told
    assert told.endswith("\r\x1b[K")
    assert "reading: 500 B of 1.0 kB (50 %), 33 B/s, about 15 s left" in told


def test_a_log_gets_whole_lines_without_control_characters():
    told = at(io.StringIO(), seconds=60)
    assert "\r" not in told
    assert "\x1b" not in told
    lines = told.splitlines()
    assert lines[0].startswith("reading: 250 B of 1.0 kB (25 %), 16 B/s, about 45 s left")
    assert lines[-1] == "reading: 1.0 kB done in 1 min 00 s, 16 B/s"
    assert len(lines) == 5


def test_a_hostile_file_name_moves_no_cursor():
    assert "\x1b[2J" not in at(Terminal(), note="\x1b[2Jx.json")


def test_what_is_no_bytes_has_its_unit_once_and_no_rate():
    assert "reading: 500 of 1,000 pods (50 %), about 15 s left\r" in at(Terminal(), unit="pods")


def test_the_last_line_in_a_log_says_what_was_found():
    told = at(io.StringIO(), seconds=60, note="12 candidates parsed, 0 rejects")
    assert told.splitlines()[-1] == "reading: 1.0 kB done in 1 min 00 s, 16 B/s; 12 candidates parsed, 0 rejects"


def test_without_a_total_it_tells_the_time_spent():
    assert "reading: 700 pods, 21 s so far" in at(Terminal(), total=None, unit="pods")


def test_the_line_goes_away_when_the_work_fails():
    stream = Terminal()
    now = [0.0]
    done = Progress(2, "reading", "files", stream, clock=lambda: now[0])
    now[0] = 5.0
    done(1)
    done.close()
    assert stream.getvalue().endswith("\x1b[K")
    with pytest.raises(ValueError, match="broken"), progress(2, "reading", stream=stream):
        raise ValueError("broken")


def test_a_notebook_gets_a_bar_that_is_updated_in_place(monkeypatch):
    shown = []

    class Handle:
        def update(self, bundle, raw):
            shown.append(("update", bundle["text/html"], raw))

    def display(bundle, raw, display_id):
        shown.append(("display", bundle["text/html"], raw and display_id))
        return Handle()

    monkeypatch.setattr("IPython.display.display", display)
    monkeypatch.setattr("meshlogs.progress._place", lambda _: "notebook")
    at(io.StringIO(), note="<b>x")
    assert [kind for kind, _, _ in shown].count("display") == 1
    assert '<progress aria-label="reading" value="500" max="1000"' in "".join(html for _, html, _ in shown)
    assert "&lt;b&gt;x" in shown[0][1]
    assert shown[-1][:2] == ("update", "")


def test_off_is_off(monkeypatch):
    monkeypatch.setenv("MESHLOGS_PROGRESS", "off")
    stream = Terminal()
    now = [0.0]
    done = Progress(2, "reading", "files", stream, clock=lambda: now[0])
    now[0] = 99.0
    done(1)
    done.close()
    assert stream.getvalue() == ""
