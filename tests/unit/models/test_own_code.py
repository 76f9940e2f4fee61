"""Networks of the user's own code: `python:FILE.py:CALLABLE`, `python:PACKAGE.MODULE:CALLABLE`."""

import sys
import textwrap

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from model_lego.errors import BadConfig, BadWeights
from model_lego.models import build, build_from, image_shape, open_network
from model_lego.models.own_code import takes
from model_lego.parts.origin import Builder

NET = """
    import torch
    from torch import nn

    from blocks import block


    class Net(nn.Module):
        def __init__(self, width=4, *, num_classes=3):
            super().__init__()
            if width < 1:
                raise ValueError("a width is at least 1")
            self.features = block(width)
            self.head = nn.Linear(width, num_classes)

        def forward(self, x):
            return self.head(self.features(x).mean((2, 3)))

        @classmethod
        def from_name(cls, name):
            return cls({"small": 2, "large": 8}[name])


    def trained():
        net = Net()
        generator = torch.Generator().manual_seed(5)
        for tensor in net.state_dict().values():
            tensor.copy_(torch.rand(tensor.shape, generator=generator))
        return net


    def numbers(count=2):
        return [0] * count


    made = Net()
"""
BLOCKS = """
    from torch import nn

    def block(width):
        return nn.Sequential(nn.Conv2d(1, width, 3), nn.ReLU())
"""


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(textwrap.dedent(text))
    return path


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The current folder, with a file and what it imports from beside itself."""
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "net.py", NET)
    write(tmp_path / "blocks.py", BLOCKS)
    yield tmp_path
    for name in ("net", "blocks", "nets", "nets.small"):
        sys.modules.pop(name, None)


def words(name, **options):
    """What an opening says that is refused."""
    with pytest.raises(BadConfig) as refused:
        open_network(name, **options)
    return str(refused.value)


def test_a_class_of_a_file_of_the_current_folder(folder):
    opened = open_network("python:net.py:Net", arguments={"width": 6, "num_classes": 5})
    assert type(opened.model).__name__ == "Net"
    assert (opened.model.head.in_features, opened.model.head.out_features) == (6, 5)
    assert opened.builder == Builder("python:net.py:Net", {"width": 6, "num_classes": 5})
    assert not opened.trained
    assert not opened.model.training


def test_a_file_elsewhere_imports_what_lies_beside_it(folder, monkeypatch, tmp_path_factory):
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))
    before = list(sys.path)
    assert open_network(f"python:{folder}/net.py:Net").model.head.in_features == 4
    assert sys.path == before
    monkeypatch.setenv("HOME", str(folder))
    assert open_network("python:~/net.py:Net").model.head.in_features == 4


def test_files_of_two_folders_with_the_same_names_beside_them(folder):
    write(folder / "other" / "net.py", NET)
    write(folder / "other" / "blocks.py", BLOCKS.replace("nn.ReLU", "nn.GELU"))
    for _ in range(2):
        assert "ReLU" in str(open_network("python:net.py:Net").model)
        assert "GELU" in str(open_network("python:other/net.py:Net").model)


def test_a_function_a_method_and_a_module_of_the_current_folder(folder):
    write(folder / "nets" / "__init__.py", "")
    write(folder / "nets" / "small.py", NET)
    assert open_network("python:net:trained").model.head.in_features == 4
    assert open_network("python:net.py:Net.from_name", arguments={"name": "large"}).model.head.in_features == 8
    opened = open_network("python:nets.small:Net.from_name", arguments={"name": "small"})
    assert opened.model.head.in_features == 2
    assert opened.builder == Builder("python:nets.small:Net.from_name", {"name": "small"})


def test_a_module_that_is_installed():
    assert type(open_network("python:torchvision.models:squeezenet1_1").model).__name__ == "SqueezeNet"


def test_a_file_that_was_edited_is_run_again_and_one_that_was_not_is_not(folder):
    one, two = (type(open_network("python:net.py:Net").model) for _ in range(2))
    assert one is two
    write(folder / "net.py", NET.replace("width=4", "width=5"))
    assert open_network("python:net.py:Net").model.head.in_features == 5


def test_what_comes_trained_is_known_by_its_weights(folder):
    opened = open_network("python:net.py:trained")
    assert opened.trained
    assert opened.notes == ("weights are those that python:net.py:trained gives",)


def test_weights_of_a_file_are_put_in(folder):
    model = open_network("python:net.py:trained").model
    save_file({f"module.{name}": tensor for name, tensor in model.state_dict().items()}, folder / "w.safetensors")
    with pytest.warns(UserWarning, match="weights are those at 'module'"):
        opened = open_network("python:net.py:Net", weights=folder / "w.safetensors")
    assert opened.trained
    assert torch.equal(opened.model.head.weight, model.head.weight)
    with pytest.raises(BadWeights, match="3 classes there and 5 here"):
        open_network("python:net.py:Net", weights=folder / "w.safetensors", arguments={"num_classes": 5})


@pytest.mark.parametrize(
    ("name", "arguments", "said"),
    [
        ("python:net.py", {}, "says no class or function: python:net.py:CALLABLE"),
        ("python:net.py:", {}, "names no code"),
        ("python:no-module:Net", {}, "names no code"),
        ("python:nett.py:Net", {}, "there is no file 'nett.py'; did you mean net.py?"),
        ("python:nott:Net", {}, "there is no module 'nott' in the current folder or among the installed packages"),
        ("python:blcks:block", {}, "did you mean blocks"),
        ("python:torchvision.modells:alexnet", {}, "did you mean models?"),
        ("python:net.py:Nett", {}, "'net.py' has no 'Nett'; did you mean Net?"),
        ("python:net.py:x", {}, "there is Net, trained, numbers"),
        ("python:net.py:Net.from_nam", {}, "'Net' has no 'from_nam'; did you mean from_name?"),
        ("python:net.py:made", {}, "is a network itself (Net); name a class or a function that gives the network"),
        ("python:net.py:Net.__doc__", {}, "is NoneType; name a class or a function"),
        ("python:net.py:numbers", {}, "gives list, not a torch.nn.Module"),
        ("python:net.py:Net.from_name", {}, "missing a required argument: 'name'; it takes name"),
        ("python:net.py:Net", {"widht": 2}, "unexpected keyword argument 'widht'; it takes width, num_classes"),
        ("python:net.py:Net", {"width": 0}, "cannot be built: net.py, line 12: ValueError: a width is at least 1"),
        ("python:net.py:Net", {"width": 2.5}, "cannot be built: blocks.py, line 5: "),
        ("python:net.py:Net.from_name", {"name": "x"}, "net.py, line 21: KeyError: 'x'"),
    ],
)
def test_what_is_wrong_is_said(folder, name, arguments, said):
    assert said in words(name, arguments=arguments)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("import torch\nx = 1 +\n", "bad.py, line 2: SyntaxError: invalid syntax"),
        ("\nimport no_such_package_at_all\n", "bad.py, line 2: ModuleNotFoundError: No module named"),
        ("from . import x\n", "a file of a package is named as python:PACKAGE.MODULE:CALLABLE"),
        ("import sys\nsys.exit(3)\n", "bad.py, line 2: it ends the program (SystemExit: 3); keep what is to run"),
        ("import broken\n", "broken.py, line 1: SyntaxError"),
        ("x = 1 / 0\n", "bad.py, line 1: ZeroDivisionError: division by zero"),
        ("raise RuntimeError\n", "bad.py, line 1: RuntimeError"),
    ],
)
@pytest.mark.parametrize("place", ["bad.py", "bad"])
def test_code_that_cannot_be_imported(folder, place, text, said):
    write(folder / "bad.py", text)
    write(folder / "broken.py", "def:\n")
    if place == "bad" and "from ." in text:
        said = "no known parent package"
    assert said in words(f"python:{place}:Net")
    write(folder / "bad.py", "from net import Net\n# mended\n")
    assert open_network("python:bad.py:Net").model is not None


def test_what_a_manifest_builds_runs_no_code(folder):
    write(folder / "net.py", "raise SystemExit")
    for call in (lambda: build_from(Builder("python:net.py:Net")), lambda: build("python:net.py:Net")):
        with pytest.raises(BadConfig, match="never because a file names it"):
            call()


def test_which_arguments_code_takes(folder):
    assert takes("python:net.py:Net", "num_classes")
    assert not takes("python:net.py:trained", "num_classes")


def test_the_images_of_a_network_whose_code_does_not_say():
    def shape(model):
        return image_shape(Builder("python:net.py:Net"), model)

    assert shape(nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten(), nn.Linear(1800, 3))) == (1, 32, 32)
    assert shape(nn.Sequential(nn.Flatten(), nn.Linear(3 * 28 * 28, 3))) == (3, 28, 28)
    assert shape(nn.Sequential(nn.Conv2d(3, 2, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten())) == (3, 224, 224)
