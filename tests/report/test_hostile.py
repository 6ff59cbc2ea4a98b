"""Names and errors that anybody may have written are shown as they are, in every format, and obeyed by none."""

import csv
import json
import os
import re
import shlex
from html import unescape
from html.parser import HTMLParser
from io import StringIO

import pytest
from handmade import cost_record, dice_record, latency_record, record
from rich.console import Console

from bench.cli.display import draw
from bench.errors import plain
from bench.quantities import CostSpec
from bench.read.sections import sections
from bench.read.speeds import speeds
from bench.report.document import document
from bench.report.html import page
from bench.report.latex import latex_table
from bench.report.markdown import write as write_markdown
from bench.report.tables import tables
from bench.report.text import cell, code, fence, in_line, latex, markdown, prose, short
from bench.report.tidy import write_csv, write_parquet

HOSTILE = [
    "</script><script>alert(1)</script>", "<img src=x onerror=alert(1)>", "a|b|c", "`x` **y** [z](http://e)", "=1+1",
    "@SUM(A1)", "-net", "+net", "\t=1", "\rnet", "a\nb\n\n# c", "\\input{/etc/passwd} % & # _ ^ ~ $x$ {", "#set page()",
    "\x1b[31mred\x1b]0;title\x07", "\u202egnp.exe", "\udce9\ud800", "[red]x[/red]", '"quoted", twice', "]]>",
    "\x1e\x00", "{{ 7 * 7 }}", "${jndi}", "::error::x%0A", "n" * 400, "漢字🙂",
]  # fmt: skip


def records(name):
    failed = record(name, CostSpec(size=64), None, status="crashed", error=f"failed: {name}")
    return [cost_record(name), latency_record(name), dice_record(name), dice_record("unet", (0.4, 0.6, 0.8)), failed]


def report_of(name):
    found = records(name)
    return document(found, sections(found), speeds(found))


def shows_nothing_hidden(text):
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]", text)
    text.encode()


class Tags(HTMLParser):
    def __init__(self):
        super().__init__()
        self.found = []

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, tuple(name for name, _ in attrs if name.startswith("on"))))


@pytest.mark.parametrize("name", HOSTILE, ids=ascii)
def test_html_holds_no_tag_and_no_handler_of_a_name(name):
    usual, hostile = Tags(), Tags()
    usual.feed(whole := page(_without_pictures(report_of("somebodys"))))
    hostile.feed(text := page(_without_pictures(report_of(name))))
    shows_nothing_hidden(text)
    assert hostile.found.count(("script", ())) == usual.found.count(("script", ()))
    assert not any(handlers for _, handlers in hostile.found)
    assert len(hostile.found) == len(usual.found), "a name made a tag"
    assert whole != text


def _without_pictures(whole):
    from dataclasses import replace

    return replace(whole, parts=tuple(replace(part, pictures=()) for part in whole.parts))


@pytest.mark.parametrize("name", HOSTILE, ids=ascii)
def test_a_table_of_markdown_has_as_many_cells_whatever_the_name(name, tmp_path):
    (path, *_) = write_markdown(_without_pictures(report_of(name)), tmp_path)
    text = path.read_text()
    shows_nothing_hidden(text)
    rows = [line for line in text.splitlines() if line.startswith("| ")]
    assert all(line.endswith(" |") for line in rows)
    counts = [len(re.findall(r"(?<!\\)\|", line.replace("\\\\", ""))) for line in rows]
    usual = (write_markdown(_without_pictures(report_of("somebodys")), tmp_path)[0]).read_text()
    assert counts == [line.count("|") for line in usual.splitlines() if line.startswith("| ")]
    outside = re.sub(r"^(`{3,})sh$.*?^\1$", "", text, flags=re.DOTALL | re.MULTILINE)
    assert "<script" not in outside
    assert "<img" not in outside


@pytest.mark.parametrize("name", HOSTILE, ids=ascii)
def test_a_spreadsheet_takes_no_text_for_a_formula_and_numbers_stay_numbers(name, tmp_path):
    for path in write_csv(report_of(name), tmp_path):
        shows_nothing_hidden(path.read_text())
        lines = list(csv.DictReader(StringIO(path.read_text(), newline="")))
        for line in lines:
            for text in filter(None, line.values()):
                assert _is_number(text) or not text.lstrip().startswith(("=", "+", "-", "@"))
    write_parquet(report_of(name), tmp_path)
    assert _is_number(lines[0]["dice_difference"])


def _is_number(text):
    try:
        float(text)
    except ValueError:
        return False
    return True


def test_a_negative_number_is_no_formula():
    assert cell("-1+cmd|' /C calc'!A0").startswith("'")
    assert [cell(text) for text in ("=1", "+1", "-1", "@a", "\t=1", "\r1", " =1", "＝1", "unet")] == [
        "'=1", "'+1", "'-1", "'@a", "'\\t=1", "'\\r1", "' =1", "'＝1", "unet",
    ]  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE, ids=ascii)
def test_latex_holds_no_command_of_a_name(name):
    found = sections(records(name))
    for table in tables(found[0]):
        text = latex_table(table, name)
        shows_nothing_hidden(text)
        assert "\\input" not in text
        assert "\n\n#" not in text
        assert all(letter <= "\u017f" for letter in text)
    told = latex(name)
    for taken in re.findall(r"(?<!\\)[%#&_$]", re.sub(r"\$\\(pm|times)\$|\$-\$", "", told)):
        raise AssertionError(taken)


@pytest.mark.parametrize("name", HOSTILE, ids=ascii)
@pytest.mark.parametrize("encoding", ["utf-8", "latin-1"])
def test_a_terminal_obeys_nothing(name, encoding):
    console = Console(file=StringIO(), width=120, force_terminal=False)
    found = records(name)
    draw(console, sections(found), speeds(found))
    text = console.file.getvalue()
    shows_nothing_hidden(text)
    if name.startswith("[red]"):
        assert "[red]x[/red]" in text


@pytest.mark.parametrize("name", HOSTILE, ids=ascii)
def test_commands_to_do_it_again_are_of_one_line_and_quoted(name):
    for command in report_of(name).commands:
        words = shlex.split(command)
        assert words[:2] == ["bench", "run"]
        assert plain(name) in [plain(word) for word in words] or " ".join(name.split()) in words


def test_code_in_markdown_ends_where_it_should():
    assert code("a`b``c") == "``` a`b``c ```"
    assert fence("```\nrm") == "````"


def test_a_name_too_long_for_a_figure_is_shortened_and_a_note_cannot_end_another():
    assert len(short("n" * 400)) <= 48
    assert in_line("a\r\n\tb\x1ec") == "a b c"
    assert markdown("1. a") == "1\\. a"
    assert markdown("6.58") == "6.58"
    found = sections([cost_record("unet"), cost_record("\x1eevil")])[0]
    assert "evil" not in [note.strip() for note in tables(found)[0].notes]
    assert prose("title", found)


def test_json_of_a_plot_cannot_end_its_script():
    text = page(_without_pictures(report_of("</script>")))
    data = re.search(r'<script type="application/json">(.*?)</script>', text, re.DOTALL)
    assert data is None or json.loads(unescape(data[1]))
    assert os.linesep
