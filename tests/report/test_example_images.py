import numpy as np
import pytest
from handmade import dice_record

from bench.read.sections import sections
from bench.report.example_images import examples, outlines, query_points, regions
from bench.run.predictions import Predictions, path_of

SIZE = 112


@pytest.fixture
def section(tmp_path):
    """Two networks on three images that lie in the cache, one of them with chosen regions."""
    records = [dice_record("unet", (0.5, 0.7, 0.9)), dice_record("mdsa_unet", (0.4, 0.9, 0.95))]
    chosen = {"encode1.attention": np.zeros((3, 49, 1), np.uint8), "encode3.attention": np.zeros((3, 49, 16), np.uint8)}
    masks = np.zeros((3, SIZE, SIZE), np.uint8)
    masks[:, 20:60, 30:80] = 1
    for record in records:
        ids = tuple(image.id for image in record.result.images)
        looked = chosen if record.job.network == "mdsa_unet" else {}
        Predictions(ids, masks, looked, "cache/x").save(path_of(tmp_path, record.id))
    (tmp_path / "cache" / "x").mkdir(parents=True)
    np.save(tmp_path / "cache" / "x" / "images.npy", np.full((3, 3, SIZE, SIZE), 90, np.uint8))
    np.save(tmp_path / "cache" / "x" / "masks.npy", masks)
    (found,) = sections(records)
    return found


def test_best_median_and_worst_are_by_the_mean_of_all_networks(section, tmp_path):
    shown = examples(section, [tmp_path])
    assert shown.ranks == {"best": "image-2", "median": "image-1", "worst": "image-0"}
    assert [network.row.network for network in shown.networks] == ["mdsa_unet", "unet"]


def test_every_network_has_a_panel_with_its_dice(section, tmp_path):
    titles = [axes.get_title() for axes in outlines(examples(section, [tmp_path])).axes]
    assert titles[:3] == ["best: truth", "MDSA-UNet  0.950", "U-Net  0.900"]
    assert len(titles) == 9


def test_chosen_regions_are_drawn_by_stage(section, tmp_path):
    shown = examples(section, [tmp_path])
    assert shown.attending.row.network == "mdsa_unet"
    axes = regions(shown).axes
    assert [one.get_title() for one in axes[:2]] == ["encode1", "encode3"]
    assert len(axes[0].patches) == 1 + 1
    assert len(axes[1].patches) == 16 + 1


def test_without_predictions_or_images_there_is_no_examples(section, tmp_path):
    assert examples(section, [tmp_path / "elsewhere"]) is None
    (tmp_path / "cache" / "x" / "images.npy").unlink()
    assert examples(section, [tmp_path]) is None or section.dice.dataset == "synthetic"


def test_query_points_are_inside_on_the_edge_and_far_away():
    truth = np.zeros((40, 40), np.uint8)
    truth[5:16, 5:16] = 1
    inside, edge, far = query_points(truth)
    assert inside == (10, 10)
    assert truth[edge] == 1
    assert min(edge[0] - 5, 15 - edge[0], edge[1] - 5, 15 - edge[1]) == 0
    assert far == (39, 39)
    assert query_points(np.zeros((40, 40), np.uint8)) == [(20, 20), (10, 10), (0, 0)]
