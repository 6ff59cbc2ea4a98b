from dataclasses import replace

from handmade import altered, cost_record, dice_record, latency_record, record

from bench.read.sections import sections
from bench.read.speeds import speeds
from bench.report.document import document
from bench.report.write import write_report


def made(records, **options):
    return document(records, sections(records), speeds(records), **options)


def test_a_part_a_section_and_one_for_speed(reference):
    found = made(reference)
    assert [part.title for part in found.parts] == ["SYNTHETIC at 224x224, cpu", "Speed and memory, cpu"]
    assert [table.caption for table in found.parts[0].tables] == [
        "Accuracy and cost", "Accuracy in full", "Outlines and failures", "Spread of Dice", "Paired with MDSA-UNet",
    ]  # fmt: skip


def test_networks_on_two_data_sets_have_mean_ranks_that_say_whose_they_are():
    dice = [tuple(start + n / 100 for n in range(12)) for start in (0.2, 0.6)]
    here = [dice_record(name, one) for name, one in zip(("unet", "mdsa_unet"), dice, strict=True)]
    there = [record(r.job.network, r.job.spec.model_copy(update={"dataset": "ddti"}), r.result) for r in here]
    ranks = made([*here, *there]).parts[-1].tables[0]
    assert ranks.caption == "Mean ranks of these weights over data sets"
    assert [(title, cells[0].figure, cells[1].figure) for title, cells in ranks.lines] == [
        ("MDSA-UNet", "1", "1 to 1"), ("U-Net", "2", "2 to 2"),
    ]  # fmt: skip
    assert "another training may change them" in ranks.notes[0]


def test_every_picture_can_be_drawn(reference):
    pictures = [picture for part in made(reference).parts for picture in part.pictures]
    assert {picture.name.partition("-synthetic")[0] for picture in pictures} >= {
        "dice-latency", "dice-counts", "paired", "learning-curves", "calls-cpu",
    }  # fmt: skip
    assert all(picture.svg.startswith("<?xml") for picture in pictures)


def test_the_commands_do_it_again(reference):
    commands = made(reference).commands
    assert commands[0] == "bench run mdsa_unet unet --dataset synthetic --budget quick --steps 80"
    assert commands[1].startswith("bench run mdsa_unet unet --measure cost,latency --device cpu")


def test_a_training_as_its_budget_has_it_is_done_again_by_the_budgets_name():
    assert made([altered(dice_record(), size=64)]).commands[0].endswith("--dataset synthetic --budget quick")
    longer = made([altered(dice_record(), size=96)]).commands[0]
    assert longer.endswith("--dataset synthetic --budget quick --steps 80 --size 96")


def test_a_count_alone_is_a_part_without_pictures():
    (part,) = made([cost_record()]).parts
    assert part.pictures == ()


def test_machines_are_those_that_figures_depend_on():
    assert made([cost_record()]).machines == ()
    assert made([latency_record()]).machines == ("A CPU, 2 cores, 24 GiB, no GPU; torch 2.14.1",)


def test_verdicts_are_handed_on(reference):
    assert replace(made(reference), verdicts=()).verdicts == ()


def test_what_was_switched_on_is_told_so_that_no_two_parts_have_the_same_words():
    plain = latency_record()
    switched = [{}, {"tf32": True}, {"tf32": True, "cudnn_benchmark": True}]
    records = [record("unet", plain.job.spec.model_copy(update=more), plain.result) for more in switched]
    found = made(records)
    assert [part.title for part in found.parts] == [
        f"{what}, cpu{more}"
        for what in ("At 224x224", "Speed and memory")
        for more in ("", ", TF32", ", TF32, cuDNN benchmark")
    ]
    assert len({table.caption + " ".join(table.notes) for part in found.parts for table in part.tables}) == 6
    assert [command.partition("latency ")[2] for command in found.commands] == [
        "--device cpu", "--tf32 --device cpu", "--tf32 --cudnn-benchmark --device cpu",
    ]  # fmt: skip


def test_the_studies_beside_the_records_are_shown_in_every_format_whoever_wrote_them(reference, tmp_path):
    (tmp_path / "studies").mkdir()
    text = 'networks = ["unet"]  # </pre><script>x</script>\n# ```\n# #include("x")\n' + "# line\n" * 90
    (tmp_path / "studies" / "ours-0123456789ab.toml").write_text(text)
    (tmp_path / "studies" / "none.toml").write_text("network = 1\n")
    found = made(reference, folders=[tmp_path])
    assert [(one.name, one.text) for one in found.studies] == [("ours-0123456789ab.toml", text)]
    write_report(found, tmp_path, ["html", "markdown", "pdf"])
    page, lines = (tmp_path / "report.html").read_text(), (tmp_path / "report.md").read_text()
    assert "&lt;/pre&gt;&lt;script&gt;x" in page
    assert "<script>x" not in page
    assert f"digest {found.studies[0].digest}:\n\n````toml\n{text}" in lines
    assert (tmp_path / "report.pdf").stat().st_size > 10_000
