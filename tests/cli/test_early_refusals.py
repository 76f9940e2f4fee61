"""What can be known before work begins is refused before it: outputs, budgets, classes, shapes."""

import re
import shutil

import numpy as np
import pytest

from tests.support.squares import arrays, refused, run, write_npz

ALL = arrays()


def commands(world, out):
    """Every command that writes, with an output that stands for `out`."""
    source, data = world.source(), ("--data", world.data)
    training = ("--epochs", "1", "--random-crop", "0", "--no-flip")
    return {
        "demo": ["demo", "--out", out],
        "train": ["train", "zoo:lenet5", "-a", "image_size=16", *data, *training, "--out", out],
        "attribute": ["attribute", *source, "--out", out],
        "disassemble": ["disassemble", *source, "--classes", "ant", "--out", out],
        "disassemble --curve-out": ["disassemble", *source, "-c", "ant", "--out", "new", "--curve-out", f"{out}.png"],
        "plan --curve-out": ["plan", *source, "--classes", "ant", "--curve-out", f"{out}.svg"],
        "compress": ["compress", *source, "--budget", "macs=0.5", "--out", out],
        "assemble": ["assemble", world.one, world.two, "--out", out],
        "unite": ["unite", world.one, world.one, "--out", out],
        "finetune": ["finetune", world.one, *data, *training, "--out", out],
        "distill": ["distill", world.one, "zoo:lenet5", "-a", "image_size=16", *data, *training, "--out", out],
        "remove": ["remove", world.one, "--classes", "ant", "--out", out],
        "add": ["add", world.one, world.two, "--out", out],
        "replace": ["replace", world.both, "0", world.one, "--out", out],
        "routes --draw": ["routes", *source, "--draw", f"{out}.png"],
        "routes --html": ["routes", *source, "--html", f"{out}.html"],
        "routes --overlap": ["routes", *source, "--overlap", f"{out}.svg"],
        "routes --maps": ["routes", *source, "--maps", f"{out}.png"],
        "report": ["report", world.one, "--html", f"{out}.html"],
        "bench --page": ["bench", "tables", "--page", f"{out}.md", "--results", "results"],
        "bench --results": ["bench", "tables", "--page", "page.md", "--results", out],
        "bench --sources": ["bench", "tables", "--page", "page.md", "--results", "results", "--sources", out],
    }


NAMES = tuple(commands(type("World", (), {"source": list, "__getattr__": lambda *_: ""})(), ""))


def no_work(*_, **__):
    raise AssertionError("work began")


@pytest.fixture
def idle(monkeypatch):
    """Fail where anything is read, trained or built."""
    for place in ("cli.sources.open_data", "cli.sources.load", "cli.train.read_data", "cli.demo.open_data"):
        monkeypatch.setattr(f"model_lego.{place}", no_work)
    monkeypatch.setattr("model_lego.tables.running.run", no_work)


@pytest.mark.usefixtures("idle")
@pytest.mark.parametrize("command", NAMES)
@pytest.mark.parametrize("where", ["under a file", "a place without files", "too long"])
def test_an_output_that_cannot_be_written_is_refused_before_any_work(world, tmp_path, monkeypatch, command, where):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("mine")
    out, words = {
        "under a file": (tmp_path / "file" / "part", "is a file, so there can be no folder in it"),
        "a place without files": ("/proc/part", "the folder '/proc' does not allow it"),
        "too long": (tmp_path / ("n" * 300), "is too long"),
    }[where]
    assert words in refused(run(*commands(world, out)[command]))
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize("command", ["disassemble", "compress", "assemble", "unite", "add", "replace", "attribute"])
def test_a_disk_without_room_is_refused_before_anything_is_summed(world, tmp_path, monkeypatch, command):
    monkeypatch.setattr(shutil, "disk_usage", lambda _: type("Usage", (), {"free": 100})())
    monkeypatch.setattr("model_lego.attribution.sampling._look", no_work)
    monkeypatch.setattr("model_lego.budgets.search.sense", no_work)
    assert "but the disk has 100 left" in refused(run(*commands(world, tmp_path / "part")[command]))
    assert list(tmp_path.iterdir()) == []


def test_outputs_of_one_command_lie_apart(world, tmp_path):
    out = tmp_path / "part"
    ran = run("disassemble", *world.source(), "-c", "ant", "--out", out, "--curve-out", out / "curve.png")
    assert "it would lie in" in refused(ran)
    same = ("--draw", tmp_path / "a.png", "--overlap", tmp_path / "a.png")
    assert "two outputs have this name" in refused(run("routes", *world.source(), *same))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("budget", "words"),
    [
        ("params=0.00001", "cannot be met: the smallest component, .*params=[0-9,]+ "),
        ("macs=0.00001,params=0.5", "cannot be met: the smallest component, .*macs=[0-9,]+ "),
        ("bytes=40", "cannot be met: the smallest component, .*bytes=[0-9,]+ "),
        ("macs=50", "shares are at most 1, 0.5 is half of the source"),
        ("params=12.5", "params=12.5 is no number of parameters, and a share is at most 1"),
        ("drop=-1", "has to be a positive number"),
        ("drop=101", "there are 100 points"),
        ("bytes=0.5", "is a number of bytes, not a share"),
    ],
)
@pytest.mark.parametrize("command", ["plan", "disassemble", "compress", "remove"])
def test_a_budget_that_cannot_be_met_is_refused_before_anything_is_summed(
    world, tmp_path, monkeypatch, command, budget, words
):
    monkeypatch.setattr("model_lego.attribution.sampling._look", no_work)
    monkeypatch.setattr("model_lego.budgets.trials.drawn", no_work)
    classes = () if command == "compress" else ("--classes", "ant,bee")
    criterion = () if command == "remove" else ("--criterion", "contribution")
    out = () if command == "plan" else ("--out", tmp_path / "part")
    assert re.search(words, refused(run(command, *world.source(), *classes, "--budget", budget, *criterion, *out)))


@pytest.mark.parametrize("command", ["plan", "disassemble", "attribute", "routes"])
def test_classes_without_images_are_refused_before_any_is_read(world, tmp_path, monkeypatch, command):
    data = write_npz(
        tmp_path / "no-bee.npz",
        x_train=ALL["x_train"][ALL["y_train"] != 1],
        y_train=ALL["y_train"][ALL["y_train"] != 1],
    )
    monkeypatch.setattr("model_lego.attribution.sampling._look", no_work)
    out = ("--out", tmp_path / "part") if command in ("disassemble", "attribute") else ()
    assert "class 'bee' has no sample" in refused(run(command, *world.source(data=data), "--classes", "ant,bee", *out))


@pytest.mark.parametrize("change", [lambda x: x[:, :12, :12], lambda x: np.repeat(x[..., None], 3, axis=3)])
def test_test_images_of_another_shape_are_refused_before_anything_is_summed(world, tmp_path, monkeypatch, change):
    data = write_npz(tmp_path / "odd.npz", x_test=change(ALL["x_test"]))
    monkeypatch.setattr("model_lego.attribution.sampling._look", no_work)
    words = refused(run("disassemble", *world.source(data=data), "--classes", "ant", "--out", tmp_path / "part"))
    assert "but the network takes (1, 16, 16)" in words


def test_a_multiple_below_one_is_refused_before_anything_is_summed(world, monkeypatch):
    monkeypatch.setattr("model_lego.attribution.sampling._look", no_work)
    assert "give 1 or more" in refused(run("plan", *world.source(), "--classes", "ant", "--multiple", "0"))
