"""The HTML report: one file, every figure led back to its records, and no name or error that could break it."""

import json
import re
import shutil
import subprocess
from collections import Counter
from html.parser import HTMLParser

import pytest
from claiming import claim, counted, timed, trained
from handmade import cost_record, dice_record, latency_record, record
from markupsafe import escape

from bench.judge.verdict import judge
from bench.quantities import CostSpec, LatencySpec
from bench.read.sections import sections
from bench.read.speeds import speeds
from bench.report.document import document
from bench.report.html import anchor, page, write

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
VOID = {"meta", "link", "br", "img", "input", "hr"}
HOSTILE = '<script>alert(1)</script> 100%_#1 & "it\'s"'
ERROR = "</script><img src=x onerror=alert(1)> 5 % of 3_4 #1 & more"


class Page(HTMLParser):
    """What a page is made of: elements with their attributes, text outside scripts, scripts, and tags out of order."""

    def __init__(self, text):
        super().__init__()
        self.elements, self.scripts, self.text, self.faults, self.open = [], [], "", [], []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.faults.append((tag, self.getpos()))

    def handle_data(self, data):
        inside = self.open[-1] if self.open else ""
        if inside == "script":
            self.scripts.append(data)
        elif inside != "style":
            self.text += data

    @property
    def ids(self):
        return Counter(attributes["id"] for _, attributes in self.elements if "id" in attributes)

    def values(self, *names):
        return [attributes[name] for _, attributes in self.elements for name in names if name in attributes]

    @property
    def plots(self):
        return [json.loads(text) for text in self.scripts if text.startswith("{")]


def made(records, claims=()):
    verdicts = judge(claims, records, "") if claims else ()
    return document(records, sections(records), speeds(records), verdicts=verdicts)


def hostile():
    long = "a_network_with_a_name_of_sixty_characters_" + "x" * 18
    return [
        cost_record(HOSTILE), latency_record(HOSTILE), dice_record(HOSTILE),
        cost_record(long), latency_record(long), dice_record(long, (0.6, 0.8, 0.95)),
        record(HOSTILE, CostSpec(size=320), None, "crashed", ERROR),
    ]  # fmt: skip


@pytest.fixture(scope="module")
def told():
    """Records, and the page of them: two networks with all quantities, one with a bad name, claims of every outcome."""
    slow, fast = timed("unet", [0.3, 0.31]), timed("mdsa_unet", [0.1, 0.11], 1, 5)
    scored = [trained("unet", (0.5, 0.7, 0.9)), *(trained("mdsa_unet", (0.6, 0.8, 0.95), seed) for seed in (0, 1))]
    old = dice_record("mdsa_unet")  # of code that was edited since
    records = [counted(), counted("unet", 31_037_633), *slow, *fast, *scored, old, *hostile()]
    claims = [
        claim(name="small", says="M < U & <b>small</b>", value=7e6), claim(name="tiny", value=1e6),
        *(claim(name=f"best/{n}", metric="dice", dataset="ddti", value=0.9) for n in range(2)),
    ]  # fmt: skip
    return records, page(made(records, claims))


@pytest.fixture(scope="module")
def parsed(told):
    return Page(told[1])


def test_it_is_one_file_and_the_same_when_written_again(tmp_path, reference):
    (path,) = write(made(reference), tmp_path / "report")
    first = path.read_bytes()
    assert [found.name for found in path.parent.iterdir()] == ["report.html"]
    assert write(made(reference), tmp_path / "report") == [path]
    assert path.read_bytes() == first


def test_networks_of_two_files_of_one_name_are_told_apart_and_keep_their_own_records():
    names = "nets/a/mine.py:Net", "nets/b/mine.py:Net"
    records = [
        made_of for n, name in enumerate(names)
        for made_of in (cost_record(name, 10_000_000 * (n + 1)), dice_record(name), latency_record(name))
    ]  # fmt: skip
    html = page(made(records))
    for name, short in zip(names, ("a/mine.py:Net", "b/mine.py:Net"), strict=True):
        ids = {record.id for record in records if record.job.network == name}
        lists = [re.split("<dt|</dl>", rest)[0] for rest in re.split(rf"<dt id=\"row-[^>]*>{short}</dt>", html)[1:]]
        behind = {anchor for one in lists for anchor in re.findall("<code>(.*?)</code>", one)}
        assert behind == ids
        assert f"<h3>{short}</h3>" in html
    assert [row.title for row in speeds(records)[0].rows] == ["a/mine.py:Net", "b/mine.py:Net"]


def test_it_asks_for_nothing_outside_itself(told, parsed):
    asked = parsed.values("src", "href", "xlink:href", "srcset", "action", "data")
    assert [place for place in asked if not place.startswith(("#", "data:"))] == []
    assert not re.search(r"@import|url\((?!#)", told[1])
    assert "default-src 'none'" in parsed.values("content")[-1]


def test_its_elements_are_closed_in_order_and_their_ids_are_its_own(parsed):
    assert parsed.faults == []
    assert parsed.open == []
    assert [name for name, times in parsed.ids.items() if times > 1] == []


def test_every_record_has_an_anchor_and_every_link_a_target(told, parsed):
    assert {anchor(one.id) for one in told[0]} <= set(parsed.ids)
    links = {place[1:] for tag, found in parsed.elements if tag == "a" and (place := found["href"]).startswith("#")}
    assert links - set(parsed.ids) == set()
    assert all(one.id in parsed.text for one in told[0])


def test_names_and_errors_stay_text(told, parsed):
    assert HOSTILE in parsed.text
    assert ERROR in parsed.text
    assert "M < U & <b>small</b>" in parsed.text
    assert str(escape(HOSTILE)) in told[1]
    assert not [found for tag, found in parsed.elements if tag == "img" and "onerror" in found]
    assert not any("alert" in script for script in parsed.scripts if not script.startswith("{"))
    assert HOSTILE in [point["name"] for point in parsed.plots[0]["points"]]


def test_a_figure_leads_to_its_record_or_to_the_list_of_them(told, parsed):
    links = {found["href"] for tag, found in parsed.elements if found.get("class") == "figure" and tag == "a"}
    (cost, _, first, second) = (told[0][n] for n in (0, 1, 2, 3))
    assert f"#{anchor(cost.id)}" in links
    assert f"#{anchor(first.id)}" not in links  # one of two processes
    lists = {link[1:] for link in links if link.endswith("-latency")}
    assert lists
    for latency in (first, second):
        assert f'<li><a href="#{anchor(latency.id)}">' in told[1]


def test_a_verdict_has_sign_word_and_reason(parsed, told):
    for mark in ("✗ fails", "✓ holds", "? undecided"):
        assert mark in parsed.text
    assert "1 holds, 1 fails, 2 undecided" in parsed.text
    assert "2 claims: " in parsed.text  # undecided for one reason
    assert told[1].index("✗ fails") < told[1].index("✓ holds") < told[1].index("? undecided")


def test_the_best_is_bold_the_second_underlined_an_interval_small(told):
    assert re.search(r'<a class="figure" href="#[^"]+"><b>6.58</b></a>', told[1])
    assert re.search(r'<a class="figure" href="#[^"]+"><u>31.04</u></a>', told[1])
    assert re.search(r"<small>\[\d[^<]*\]</small>", told[1])


def test_what_a_paper_prints_has_no_records_behind_it(told):
    assert '<span class="figure">6.65</span>' in told[1]


def test_a_report_without_claims_scores_and_times():
    found = Page(page(made([cost_record()])))
    assert found.faults == []
    assert found.plots == []
    assert "claims" not in found.ids


WORSE = tuple(0.3 + n / 100 for n in range(12))
BETTER = tuple(0.7 + n / 100 + n % 2 / 50 for n in range(12))


def test_whose_score_it_is_stands_beside_its_verdict():
    lead = claim(metric="dice", dataset="synthetic", against="unet", relation="at_least")
    three = [trained(name, dice, seed) for name, dice in (("mdsa_unet", BETTER), ("unet", WORSE)) for seed in range(3)]
    text = page(made(three, [lead]))
    assert (
        "<small>the networks: 12 patients, 3 trainings each; probability of a false claim &lt; 0.001; "
        "misses in fewer than about 22 % would not be seen</small>" in text
    )
    open_ = page(made(three[::3], [lead]))
    assert "<small>these weights: 12 patients, 1 training each</small>" in open_
    assert "To decide it: <code>bench run --all" in open_


def test_mean_ranks_which_are_of_no_section_link_to_no_record():
    here = [dice_record("unet", WORSE), dice_record("mdsa_unet", BETTER)]
    there = [record(r.job.network, r.job.spec.model_copy(update={"dataset": "ddti"}), r.result) for r in here]
    text = page(made([*here, *there])).partition('<section id="part-ranks">')[2].partition("</section>")[0]
    assert "Mean ranks of these weights over data sets" in text
    assert '<th scope="row">MDSA-UNet</th>' in text
    assert "<a " not in text
    assert "<details" not in text


def test_two_devices_of_one_name_share_no_id():
    machines = [LatencySpec(machine=name, device="cpu", threads=2) for name in ("a", "b")]
    records = [record(name, spec, latency_record().result) for spec in machines for name in ("unet", "u", "v")]
    found = Page(page(made(records)))
    assert [name for name, times in found.ids.items() if times > 1] == []


# ---- in a browser ----------------------------------------------------------------------------------------------------

FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update", "--virtual-time-budget=3000",
    "--enable-logging=stderr", "--v=0", "--window-size=800,900", "--dump-dom",
)  # fmt: skip
# A browser's window has a least width; a frame in it can be as narrow as a phone. The framed page tells it what it is.
FRAME = """<!doctype html><title>A phone</title><script>
addEventListener("message", (event) => Object.assign(document.documentElement.dataset, event.data));
</script><iframe src="report.html" width="360" height="800"></iframe>"""
TELL = """<script>
document.querySelector("table.figures thead button").click();
document.querySelector("a.figure[href$=latency]").click();
document.querySelector(".point").focus();
parent.postMessage({
  ...document.documentElement.dataset,
  width: innerWidth, over: document.documentElement.scrollWidth - innerWidth,
  sorted: document.querySelector("[aria-sort]").ariaSort,
  opened: document.querySelectorAll("details.sources[open]").length,
  tip: document.querySelector(".tip").textContent,
  points: document.querySelector(".plot").querySelectorAll(".point").length,
}, "*");
</script>"""


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here")
def test_its_script_runs_without_an_error_and_a_phone_shows_it_without_scrolling_sideways(tmp_path, told, parsed):
    (tmp_path / "report.html").write_text(told[1].replace("</body>", f"{TELL}</body>"))
    (tmp_path / "phone.html").write_text(FRAME)
    command = [CHROMIUM, *FLAGS, f"--user-data-dir={tmp_path / 'profile'}", (tmp_path / "phone.html").as_uri()]
    shown = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    assert [line for line in shown.stderr.splitlines() if "CONSOLE" in line] == []
    ((_, seen),) = (element for element in Page(shown.stdout).elements if element[0] == "html")
    assert (seen["data-ready"], seen["data-sorted"], seen["data-opened"]) == ("yes", "ascending", "1")
    assert int(seen["data-over"]) <= 0 < int(seen["data-width"]) <= 360
    assert int(seen["data-points"]) == len(parsed.plots[0]["points"])
    assert "Params (M): " in seen["data-tip"]
