from dataclasses import replace

from handmade import cost_record, latency_record

from bench.read.sections import sections
from bench.read.speeds import speeds
from bench.report.document import document


def made(records, **options):
    return document(records, sections(records), speeds(records), **options)


def test_a_part_a_section_and_one_for_speed(reference):
    found = made(reference)
    assert [part.title for part in found.parts] == ["SYNTHETIC at 224x224, cpu", "Speed and memory, cpu"]
    assert [table.caption for table in found.parts[0].tables] == [
        "Accuracy and cost", "Accuracy in full", "Paired with MDSA-UNet",
    ]  # fmt: skip


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


def test_a_count_alone_is_a_part_without_pictures():
    (part,) = made([cost_record()]).parts
    assert part.pictures == ()


def test_machines_are_those_that_figures_depend_on():
    assert made([cost_record()]).machines == ()
    assert made([latency_record()]).machines == ("A CPU, 2 cores, 24 GiB, no GPU; torch 2.14.1",)


def test_verdicts_are_handed_on(reference):
    assert replace(made(reference), verdicts=()).verdicts == ()
