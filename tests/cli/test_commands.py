"""Each command in text and with --json: results on stdout, talk and progress on stderr."""

import re
import shutil

import numpy as np
import pytest
import torch

from tests.support.squares import CLASSES, arrays, contents, pictures, refused, run, said, trained, write_npz

SAVED = ["README.md", "manifest.json", "model.safetensors", "recipe.yaml"]


def right(part, classes):
    """Share of fresh pictures of its classes that a part gets right."""
    images, labels = pictures(10, seed=2)
    mine = torch.tensor([CLASSES[label] in classes for label in labels.tolist()])
    numbers = torch.tensor([classes.index(CLASSES[label]) for label in labels[mine].tolist()])
    with torch.no_grad():
        logits = part(images[mine][:, None].float() / 255)
    return float((logits.argmax(1) == numbers).float().mean())


def test_plan_as_text_shows_every_layer_and_the_size(world):
    ran = run("plan", "--paper", *world.source(), "--classes", "ant,bee")
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.startswith("Plan for ant, bee")
    for layer in ("features.0", "features.4", "classifier.0", "classifier.2", "classifier.4"):
        assert layer in ran.out
    assert "parameters" in ran.out
    assert "multiply-adds" in ran.out


def test_plan_counts_what_disassemble_keeps(world):
    from model_lego import load

    planned = run("plan", "--paper", *world.source(), "--classes", "ant,bee", "--json").json
    component = load(world.one)
    kept = {row["layer"]: (row["kept_in"], row["kept_out"]) for row in planned["layers"]}
    whole = {row["layer"]: (row["in"], row["out"]) for row in planned["layers"]}
    inputs, outputs = component.origin.kept_inputs, component.origin.kept_outputs
    assert planned["classes"] == ["ant", "bee"]
    assert kept == {layer: (len(inputs[layer]), len(outputs[layer])) for layer in inputs}
    # LeNet-5 at half its width: 3 and 8 maps, 8 x 2 x 2 features, 60 and 42 hidden units, four classes
    assert list(whole.values()) == [(1, 3), (3, 8), (32, 60), (60, 42), (42, 4)]
    assert planned["parameters"] == sum(parameter.numel() for parameter in component.parameters())


def test_plan_writes_nothing(world, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    before = contents(world.data.parent)
    assert run("plan", "--paper", *world.source(), "--classes", "0").code == 0
    assert (list(tmp_path.iterdir()), contents(world.data.parent)) == ([], before)


def test_disassemble_as_text_reports_on_stdout_and_talks_on_stderr(world, tmp_path):
    ran = run(
        "disassemble", "--paper", *world.source(), "--classes", "cat", "--repair", "none", "--out", tmp_path / "cat"
    )
    assert ran.code == 0
    assert ran.out.startswith("Component for cat\n")
    assert "written to" in ran.err
    assert "written to" not in ran.out
    assert sorted(path.name for path in (tmp_path / "cat").iterdir()) == SAVED


def test_disassemble_as_json_gives_the_report_alone(world, tmp_path):
    out = tmp_path / "deep" / "pets"
    ran = run("disassemble", "--paper", *world.source(), "--classes", "dog,cat", "--baselines", "--json", "--out", out)
    assert (ran.code, ran.err) == (0, "")
    names = [row["name"] for row in ran.json["rows"]]
    assert {"component", "source", "restricted", "head"} < set(names)
    assert ran.json["classes"] == ["dog", "cat"]
    assert ran.json["counts"] == [10, 10]
    assert ran.json["folder"] == str(out)
    assert sorted(path.name for path in out.iterdir()) == SAVED


def test_the_same_command_gives_the_same_bytes(world, tmp_path):
    run("disassemble", "--paper", *world.source(), "--classes", "ant,bee", "--out", tmp_path / "again")
    assert contents(tmp_path / "again") == contents(world.one)


def test_what_was_taken_out_and_joined_works(world):
    from model_lego import load

    # 0.5 and 0.25 are chance; the uncut network gets all of them right
    assert right(trained(seed=0), list(CLASSES)) == 1
    for folder, classes in ((world.one, ("ant", "bee")), (world.two, ("dog", "cat"))):
        component = load(folder)
        assert component.classes == classes
        assert right(component, classes) > 0.9
    assembly = load(world.both)
    assert assembly.classes == ("ant", "bee", "dog", "cat")
    assert right(assembly, assembly.classes) > 0.9


def test_assemble_as_text_says_that_it_was_checked(world, tmp_path):
    ran = run("assemble", world.one, world.two, "--out", tmp_path / "both")
    assert ran.code == 0
    assert "checked on" in ran.out
    assert "no calibration images: the parts' logits are not brought to a common level" in said(ran.out)
    assert ran.err.startswith("calibration images come from --data\nwritten to")


def test_assemble_as_text_says_how_the_head_was_chosen(world, tmp_path):
    ran = run("assemble", world.one, world.two, "--out", tmp_path / "both", "--data", world.data)
    assert ran.code == 0
    assert re.search(
        r"cross-validated on 96 calibration images: concat [\d.]+ %, affine .*, ridge .*, lda .* %; head \w+",
        said(ran.out),
    )
    assert "no calibration images" not in ran.out


def test_assemble_with_a_class_for_outsiders(world, tmp_path):
    from model_lego import load

    given = ("--data", world.data, "--head", "ridge", "--outsiders", "0.25")
    ran = run("assemble", world.one, world.two, "--out", tmp_path / "both", *given)
    assert ran.code == 0, ran.err
    assert "'none of these' where no logit reaches" in said(ran.out)
    assert load(tmp_path / "both").classes == ("ant", "bee", "dog", "cat", "none of these")
    shown = run("evaluate", tmp_path / "both", "--data", world.data, "--json")
    assert shown.code == 0, shown.err
    assert shown.json["classes"][-1] == "none of these"


def test_assemble_from_images_of_which_only_the_part_is_known(world, tmp_path):
    """Ants and bees are the first part's, cats and dogs the second's."""
    from model_lego import load

    owners = {name: arrays()[name] // 2 for name in ("y_train", "y_test")}
    data = write_npz(tmp_path / "parts.npz", class_names=np.array(["1", "2"]), **owners)
    given = ("--data", data, "--labels", "parts", "--calibration-per-class", "10", "--json")
    ran = run("assemble", world.one, world.two, "--out", tmp_path / "both", *given)
    assert ran.code == 0, ran.err
    assert ran.json["settings"]["calibration_labels"] == "parts"
    assert ran.json["settings"]["calibration_images"] == 40  # 10 for each of a part's two classes
    assert right(load(tmp_path / "both"), ("ant", "bee", "dog", "cat")) > 0.9
    from_zero = write_npz(tmp_path / "zero.npz", class_names=np.array(["0", "1"]), **owners)
    ran = run("assemble", world.one, world.two, "--out", tmp_path / "no", "--data", from_zero, "--labels", "parts")
    assert "the numbers of the parts, from 1; it has a class '0'" in refused(ran)


def test_assemble_as_json(world, tmp_path):
    ran = run(
        "assemble", world.one, world.two, "--out", tmp_path / "both", "--layout", "padded", "--head", "affine",
        "--data", world.data, "--calibration-per-class", "6", "--json",
    )  # fmt: skip
    assert (ran.code, ran.err) == (0, "")
    assert ran.json["classes"] == ["ant", "bee", "dog", "cat"]
    settings = ran.json["settings"]
    assert (settings["layout"], settings["head"]) == ("padded", "affine")
    assert settings["calibration_images"] == 24


@pytest.mark.parametrize(("policy", "classes"), [("prefer", ["ant", "bee"]), ("average", ["ant", "bee"])])
def test_a_policy_settles_which_part_has_a_class(world, tmp_path, policy, classes):
    shutil.copytree(world.one, tmp_path / "twin")
    parts = (world.one, tmp_path / "twin")
    ran = run("assemble", *parts, "--on-clash", policy, "--out", tmp_path / "both", "--json")
    assert ran.code == 0, ran.err
    assert ran.json["classes"] == classes


def test_evaluate_as_text(world):
    ran = run("evaluate", world.both, "--data", world.data)
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.startswith("Assembly for ant, bee, dog, cat\n40 samples\n")


def test_evaluate_as_json_counts_what_the_part_gets_right(world):
    from model_lego import load

    ran = run("evaluate", world.one, "--data", world.data, "--json")
    images, labels = pictures(10, seed=1)
    mine = labels < 2
    with torch.no_grad():
        answers = load(world.one)(images[mine][:, None].float() / 255).argmax(1)
    assert ran.code == 0
    assert ran.json["counts"] == [10, 10]
    assert ran.json["rows"][0]["accuracy"] == pytest.approx(100 * float((answers == labels[mine]).float().mean()))


def test_evaluate_with_the_source_measures_the_baselines_too(world):
    ran = run("evaluate", world.one, "--source", *world.source(), "--json")
    assert ran.code == 0, ran.err
    rows = {row["name"]: row for row in ran.json["rows"]}
    assert rows["restricted"]["accuracy"] == 100
    assert rows["component"]["parameters"] < rows["source"]["parameters"]
    assert ran.json["others"] == 20


def test_json_has_null_for_a_number_that_cannot_be_had(world, tmp_path):
    out = tmp_path / "part"
    made = run(
        "disassemble", "--paper", *world.source(), "--classes", "ant", "--repair", "none", "--out", out, "--json"
    )
    measured = run("evaluate", out, "--data", world.data, "--json")
    assert (made.code, measured.code) == (0, 0)
    assert made.json["rows"][0]["separation"] != [None]
    assert measured.json["rows"][0]["separation"] == [None]  # no sample of another class to be told from


def test_ops_lists_the_table(world):
    from model_lego.graph import RULES

    text, table = run("ops"), run("ops", "--json")
    assert (text.code, text.err, table.err) == (0, "", "")
    assert text.out.startswith(f"{len(RULES)} operators")
    assert "conv2d.default" in text.out
    rows = {row["operator"]: row for row in table.json}
    assert len(rows) == len(RULES)
    assert rows["relu.default"]["route"] == "keeps"
    assert "reads across channels" in rows["_softmax.default"]["reason"]


def test_progress_is_drawn_on_stderr_and_only_on_a_terminal(world):
    command = ("plan", "--paper", *world.source(), "--classes", "ant", "--json")
    drawn, silent = run(*command, terminal=True), run(*command)
    assert "choosing samples" in drawn.err
    assert drawn.out == silent.out
    assert silent.err == ""


def test_progress_is_wiped_when_the_work_is_done(world):
    drawn = run("plan", "--paper", *world.source(), "--classes", "ant", terminal=True)
    assert drawn.err.endswith("\x1b[K")


def test_a_network_that_gets_nothing_right_is_told_as_a_note(world, tmp_path):
    y = arrays()["y_train"]
    data = write_npz(tmp_path / "turned.npz", y_train=(y + 1) % 4)
    ran = run("plan", "--paper", *world.source(data=data), "--classes", "ant", "--json")
    assert ran.code == 0
    assert ran.json["classes"] == ["ant"]
    assert ran.err.startswith("note: no sample of class")
