"""The report as a PDF: the same bytes again, every word of the document in it, no empty page, names as they are."""

import re
import shutil
import subprocess
from dataclasses import replace

import pytest
from claiming import claim, counted, timed, trained
from handmade import cost_record, dice_record, latency_record, record

from bench.judge.verdict import judge
from bench.quantities import CostSpec, Count
from bench.read.rows import Row
from bench.read.sections import sections
from bench.read.speeds import speeds
from bench.report.columns import Column, table
from bench.report.document import document
from bench.report.figures import Picture
from bench.report.pdf import COMMAND, write
from bench.report.plot_style import subplots
from bench.report.text import prose, template

HOSTILE = "<script> 100% #let x_1 $y$ *b* @z \\n \\$ [c] {d} \"e\" 'f' ~ ^ -- `g`"
LONG = "a_network_with_a_name_of_sixty_characters_" + "x" * 18
needs_poppler = pytest.mark.skipif(not shutil.which("pdftotext"), reason="pdftotext of poppler-utils is not here")


def made(records, claims=()):
    verdicts = judge(claims, records, "") if claims else ()
    return document(records, sections(records), speeds(records), verdicts=verdicts)


def pages(made_, folder):
    """The text of every page, without white space, for a line breaks where there is no room."""
    (path,) = write(made_, folder)
    text = subprocess.run(["pdftotext", "-raw", path, "-"], capture_output=True, check=True).stdout.decode()
    return [re.sub(r"\s", "", page) for page in text.split("\f")[:-1]]


def beside_margins(page):
    """A page's text less the running header and the number."""
    return re.sub(r"^Networkscompared|SYNTHETICat224x224,cpu|[0-9]+/[0-9]+$", "", page)


def measured(name, number=0):
    dice = tuple((number + n) % 100 / 100 for n in (50, 70, 90))
    latency = (0.3 + number / 100, 0.31, 0.32)
    return [cost_record(name, 10**6 * (1 + number)), latency_record(name, latency), dice_record(name, dice)]


def definitions():
    return template("text.txt").module.definitions.items()


def squeezed(text):
    return re.sub(r"\s", "", text)


def test_it_is_one_pdf_and_the_same_when_written_again(tmp_path, reference):
    (path,) = write(made(reference), tmp_path / "new" / "folder")
    first = path.read_bytes()
    assert first.startswith(b"%PDF")
    assert [found.name for found in path.parent.iterdir()] == ["report.pdf"]
    assert write(made(reference), tmp_path / "new" / "folder") == [path]
    assert path.read_bytes() == first
    assert b"CreationDate" not in first


@needs_poppler
def test_all_words_of_the_document_are_in_it(tmp_path, reference):
    written = made(reference)
    found = pages(written, tmp_path)
    text = "".join(found)
    tables = [table for part in written.parts for table in part.tables]
    told = [prose("question"), *written.machines, *(words for pair in definitions() for words in pair)]
    told += [words for part in written.parts for words in (part.title, *part.says)]
    told += [picture.caption for part in written.parts for picture in part.pictures]
    told += [words for table in tables for words in (table.caption, *(note[1:] for note in table.notes))]
    told += [title for table in tables for title, _ in table.lines]
    told += [cell.figure for table in tables for _, cells in table.lines for cell in cells]
    assert [words for words in told if squeezed(words) not in text] == []
    assert all(page.endswith(f"{number}/{len(found)}") for number, page in enumerate(found, 1))
    assert "benchrunmdsa_unetunet--datasetsynthetic" in text


@needs_poppler
def test_claims_stand_on_the_first_page_by_verdict_sign_and_source(tmp_path):
    slow, fast = timed("unet", [0.3, 0.31]), timed("mdsa_unet", [0.1, 0.11], 1, 5)
    scored = [trained("unet", (0.5, 0.7, 0.9)), *(trained("mdsa_unet", (0.6, 0.8, 0.95), seed) for seed in (0, 1))]
    claims = [
        claim(name="small", says="it is small"), claim(name="tiny", says="it is tiny", value=1e6),
        *(claim(name=f"best/{n}", says="it is best", metric="dice", dataset="ddti", value=0.9) for n in range(2)),
    ]  # fmt: skip
    first, *_ = pages(made([counted(), counted("unet", 31_037_633), *slow, *fast, *scored], claims), tmp_path)
    assert "1holds,1fails,2undecided." in first
    assert first.index("✗failsitistiny[1]") < first.index("✓holdsitissmall[1]") < first.index("?undecideditisbest[1]")
    assert first.count("itisbest") == 1  # two claims that are open for one reason take one line
    assert "atmost7,000,000" in first
    assert "[1]apaper" in first


@needs_poppler
def test_whose_score_it_is_stands_below_its_claim(tmp_path):
    lead = claim(metric="dice", dataset="synthetic", against="unet", relation="at_least")
    low, high = (tuple(start + n / 100 + n % 2 * start / 50 for n in range(12)) for start in (0.3, 0.7))
    records = [trained(name, dice, seed) for name, dice in (("mdsa_unet", high), ("unet", low)) for seed in range(3)]
    first, *_ = pages(made(records, [lead]), tmp_path)
    assert squeezed("the networks: 12 patients, 3 trainings each; probability of a false claim < 0.001") in first


@needs_poppler
def test_names_and_errors_are_printed_as_they_are(tmp_path):
    records = [*measured(HOSTILE), *measured(LONG), record(HOSTILE, CostSpec(size=320), None, "crashed", HOSTILE)]
    text = "".join(pages(made(records), tmp_path))
    assert text.count(squeezed(HOSTILE)) > 3
    assert text.count(LONG) > 3


@needs_poppler
def test_a_mark_stands_beside_its_figure(tmp_path):
    doubted = cost_record().result.model_copy(update={"torch": Count(counter="torch", macs=1)})
    text = "".join(pages(made([record("unet", CostSpec(), doubted), *measured("mdsa_unet")]), tmp_path))
    assert "36.88†" in text
    assert "†U-Net:multiply-addsunverified" in text


@pytest.mark.slow
@needs_poppler
def test_forty_networks_break_over_pages_with_their_header_and_none_is_empty(tmp_path):
    names = [f"network_number_{n}" for n in range(38)] + [HOSTILE, LONG]
    found = pages(made([r for n, name in enumerate(names) for r in measured(name, n)]), tmp_path)
    text = "".join(found)
    assert all(text.count(squeezed(name)) > 3 for name in names)
    assert all(len(beside_margins(page)) > 20 for page in found)
    assert sum("NetworkLatencymsOfpeak" in page for page in found) >= 2


@pytest.mark.slow
@needs_poppler
def test_a_table_too_wide_for_the_page_is_turned_or_shrunk(tmp_path, reference):
    written = made(reference)
    rows = sections(reference)[0].rows
    columns = [Column(f"{n}", f"Column {n}", "unit", lambda row: row.dice, "score") for n in range(18)]
    wide = replace(written.parts[0], tables=(table("wide", "Wide", columns, rows),))
    (path,) = write(replace(written, parts=(wide,)), tmp_path)
    told = subprocess.run(["pdfinfo", "-l", "99", path], capture_output=True, check=True, text=True).stdout
    assert re.search(r"size:\s+841.89 x 595", told)
    words = subprocess.run(["pdftotext", "-bbox", path, "-"], capture_output=True, check=True, text=True).stdout
    assert max(float(right) for right in re.findall(r'xMax="([0-9.]+)"', words)) < 841.89 - 40
    assert isinstance(rows[0], Row)


def test_a_name_with_dollars_is_no_formula_in_a_picture(tmp_path):
    records = [*measured("$\\x$"), *measured("unet")]
    assert made(records).parts[0].pictures
    assert write(made(records), tmp_path)


def test_a_document_of_next_to_nothing(tmp_path):
    (path,) = write(made([cost_record()]), tmp_path)
    assert path.read_bytes().startswith(b"%PDF")
    (path,) = write(replace(made([cost_record()]), machines=(), parts=(), commands=()), tmp_path)
    assert path.read_bytes().startswith(b"%PDF")


@pytest.mark.slow
def test_a_picture_of_many_dots_stays_small_and_a_tall_one_fits(tmp_path, reference):
    def dots():
        figure, axes = subplots(7.2, 40)
        axes.plot(range(50_000), [n * n % 977 for n in range(50_000)], ".", linestyle="")
        return figure

    written = made(reference)
    part = replace(written.parts[0], pictures=(Picture("dots", "dots", "Dots", dots),))
    (path,) = write(replace(written, parts=(part,)), tmp_path)
    assert path.stat().st_size < 1_000_000


def test_a_command_is_broken_where_a_shell_goes_on(tmp_path):
    from bench.report.pdf import _in_lines

    command = f"bench run {' '.join(f'network_{n}' for n in range(40))} --dataset a-b --data-root A --steps 600"
    lines = _in_lines(command).split("\n")
    assert all(line.endswith(" \\") for line in lines[:-1])
    assert max(map(len, lines)) <= COMMAND + 2
    assert not any(re.search(r"--\S+ \\$", line) for line in lines)
    assert " ".join(line.removesuffix(" \\").strip() for line in lines) == command
