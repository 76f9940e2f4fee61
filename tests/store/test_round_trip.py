import hashlib
from dataclasses import fields

import pytest
import torch
import torchvision
from torch import nn

from model_lego.errors import BadConfig
from model_lego.parts.assembly import Assembly, Head
from model_lego.parts.component import Component
from model_lego.parts.join_record import (
    Calibration,
    CrossValidation,
    FactorRange,
    HeadState,
    JoinCheck,
    JoinRecord,
    Outsiders,
)
from model_lego.parts.origin import Builder
from model_lego.parts.provenance import Provenance
from model_lego.parts.verdict import Verdict
from model_lego.store import digest_of, inspect, load, save
from model_lego.store.tensors import named_tensors
from tests.support.handmade_parts import Tiny, images, origin, reading_assembly, tiny_assembly, tiny_component


def assert_same_tensors(one: nn.Module, other: nn.Module) -> None:
    ours, theirs = named_tensors(one), named_tensors(other)
    assert ours.keys() == theirs.keys()
    for name, tensor in ours.items():
        assert tensor.dtype == theirs[name].dtype
        assert torch.equal(tensor, theirs[name]), name
        assert isinstance(tensor, nn.Parameter) == isinstance(theirs[name], nn.Parameter), name


def test_a_component_comes_back_with_every_field(tmp_path):
    part = tiny_component()
    assert save(part, tmp_path / "pets") == tmp_path / "pets"
    back = load(tmp_path / "pets", factory=Tiny)
    assert isinstance(back, Component)
    assert not back.training
    assert type(back.module) is Tiny
    assert (back.classes, back.labels, back.preprocessing) == (part.classes, part.labels, part.preprocessing)
    assert back.origin == part.origin
    assert_same_tensors(part, back)
    assert torch.equal(part(images()), back(images()))


def test_layers_get_the_attributes_that_they_had_after_the_cut(tmp_path):
    save(tiny_component(), tmp_path / "pets")
    module = load(tmp_path / "pets", factory=Tiny).module
    assert (module.mix.in_channels, module.mix.out_channels, module.bn.num_features) == (5, 5, 5)
    assert module.norm.normalized_shape == (5,)
    assert module.use_aux is False
    assert module.aux(torch.zeros(1)) is None


def test_tied_weights_and_aliased_layers_are_one_again(tmp_path):
    save(tiny_component(), tmp_path / "pets")
    assert inspect(tmp_path / "pets").aliases == {
        "module.mix.bias": "module.again.bias",
        "module.mix.weight": "module.again.weight",
        "module.tied.weight": "module.again.weight",
    }
    module = load(tmp_path / "pets", factory=Tiny).module
    assert module.again is module.mix
    assert module.tied.weight is module.mix.weight
    assert len(list(module.parameters())) == len(list(tiny_component().module.parameters()))


def test_buffers_outside_of_the_state_dict_stay_outside(tmp_path):
    save(tiny_component(), tmp_path / "pets")
    module = load(tmp_path / "pets", factory=Tiny).module
    assert "offset" not in module.state_dict()
    assert torch.equal(module.offset, tiny_component().module.offset)


def test_frozen_parameters_are_as_in_the_uncut_network(tmp_path):
    def frozen() -> nn.Module:
        module = Tiny()
        module.head.requires_grad_(False)
        return module

    save(tiny_component(), tmp_path / "pets")
    module = load(tmp_path / "pets", factory=frozen).module
    assert not module.head.weight.requires_grad
    assert module.conv.weight.requires_grad
    assert module.conv.bias.requires_grad  # the uncut network has no such bias


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.bfloat16], ids=str)
def test_data_types_come_back(tmp_path, dtype):
    part = tiny_component().to(dtype)
    part.module.gain = part.module.gain.to(dtype)  # a plain attribute, which .to leaves alone
    save(part, tmp_path / "pets")
    back = load(tmp_path / "pets", factory=Tiny)
    assert_same_tensors(part, back)
    assert back.module.conv.weight.dtype == dtype
    assert back.module.bn.num_batches_tracked.dtype == torch.int64
    assert torch.equal(part(images(dtype=dtype)), back(images(dtype=dtype)))


def test_channels_last_comes_back(tmp_path):
    part = tiny_component().to(memory_format=torch.channels_last)
    save(part, tmp_path / "pets")
    back = load(tmp_path / "pets", factory=Tiny)
    assert inspect(tmp_path / "pets").parts[0].memory_format == "channels_last"
    assert back.module.conv.weight.stride() == part.module.conv.weight.stride()
    assert not back.module.conv.weight.is_contiguous()
    assert_same_tensors(part, back)


def test_saving_changes_nothing_in_the_part(tmp_path):
    part = tiny_component().train()
    before, objects = digest_of(part), {name: id(one) for name, one in named_tensors(part).items()}
    save(part, tmp_path / "pets")
    assert part.training
    assert digest_of(part) == before
    assert {name: id(one) for name, one in named_tensors(part).items()} == objects


def test_loading_leaves_the_random_state_alone(tmp_path):
    save(tiny_component(), tmp_path / "pets")
    before = torch.random.get_rng_state()
    load(tmp_path / "pets", factory=Tiny)
    assert torch.equal(torch.random.get_rng_state(), before)


def test_not_a_number_comes_back_as_it_is(tmp_path):
    part = tiny_component()
    part.module.head.bias.data[0] = float("nan")
    save(part, tmp_path / "pets")
    back = load(tmp_path / "pets", factory=Tiny)
    assert back.module.head.bias.isnan().tolist() == [True, False]


def test_an_assembly_comes_back(tmp_path):
    whole = tiny_assembly()
    save(whole, tmp_path / "all")
    back = load(tmp_path / "all", factory=Tiny)
    assert isinstance(back, Assembly)
    assert (back.layout, back.classes, back.record) == (whole.layout, whole.classes, whole.record)
    assert back.head.kind == "ridge"
    assert [part.origin for part in back.parts] == [part.origin for part in whole.parts]
    assert_same_tensors(whole, back)
    assert torch.equal(whole(images()), back(images()))


def test_a_head_on_features_comes_back(tmp_path):
    whole = reading_assembly()
    save(whole, tmp_path / "all")
    save(whole, tmp_path / "again")
    for name in ("manifest.json", "model.safetensors", "README.md"):
        assert (tmp_path / "all" / name).read_bytes() == (tmp_path / "again" / name).read_bytes()
    back = load(tmp_path / "all", factory=Tiny)
    assert (back.head.kind, back.head.reads, back.classes) == ("lda", (("head",), ("head",)), whole.classes)
    assert back.record == whole.record
    assert torch.equal(whole(images()), back(images()))
    assert "It has a head that was fitted before its parts changed: " in (tmp_path / "all" / "README.md").read_text()


def test_every_field_of_the_record_comes_back(tmp_path):
    plain = tiny_assembly()
    record = JoinRecord(
        HeadState.FITTED,
        scaling="logit",
        on_clash="average",
        seed=3,
        one_source=((1, 2), (3, 5, 6)),
        rejecting=(2,),
        check=JoinCheck(32, 0.25, 7.5),
        calibration=Calibration(250, "parts"),
        calibration_digests="AAAAAAAAAAA=",
        cross_validation=CrossValidation({"affine": 95.5}, 5, {"affine": 0.5, "factor": 8.0}, "it mixes images"),
        factors=FactorRange(0.5, 2.0, (1, 3)),
        outsiders=Outsiders(0.05, -1.5),
        finetuned=({"epochs": 3, "crop": None},),
        distilled=({"hard": 0.5, "names": ["a"]}, {"hard": 0.25}),
        provenance=Provenance(("mit",), ("v2",), ("digits",)),
        verdict=Verdict("joined", "its parts", 3, 90.5, 95.25, (3.0, 6.5), 200, held_out=True, fitted=12, kept=40.5),
    )
    assert all(getattr(record, field.name) != field.default for field in fields(record))
    save(plain.with_record(record), tmp_path / "all")
    assert load(tmp_path / "all", factory=Tiny).record == record


def test_a_padded_assembly_may_be_larger_than_its_source(tmp_path):
    wide = nn.Sequential(nn.Conv2d(3, 6, 8), nn.Flatten(), nn.Linear(12, 4))
    attributes = {"0": {"out_channels": 6}, "2": {"in_features": 12, "out_features": 4}}
    component = Component(wide, classes=list("abcd"), labels=(0, 1, 2, 3), origin=origin(attributes=attributes))
    whole = Assembly([], layout="padded", classes=list("abcd"), head=Head.identity(4), padded=component).eval()
    save(whole, tmp_path / "all")
    back = load(
        tmp_path / "all",
        factory={"padded": lambda: nn.Sequential(nn.Conv2d(3, 4, 8), nn.Flatten(), nn.Linear(8, 3))},
    )
    assert len(back.parts) == 0
    assert back.padded.module[2].out_features == 4
    assert torch.equal(whole(images()), back(images()))


def test_each_part_may_have_its_own_factory(tmp_path):
    save(tiny_assembly(), tmp_path / "all")
    called = []

    def named(name):
        return lambda: called.append(name) or Tiny()

    load(tmp_path / "all", factory={"0": named("first"), "1": named("second")})
    assert called == ["first", "second"]
    with pytest.raises(BadConfig, match=r"part '1' .*factory"):
        load(tmp_path / "all", factory={"0": Tiny})


def test_parts_that_share_layers_share_them_again(tmp_path):
    first, second = tiny_component(seed=1), tiny_component(seed=2)
    second.module.conv = first.module.conv
    whole = Assembly([first, second], layout="parallel", classes=list("abcd"), head=Head.identity(4)).eval()
    save(whole, tmp_path / "all")
    back = load(tmp_path / "all", factory=Tiny)
    assert back.parts[0].module.conv.weight is back.parts[1].module.conv.weight
    assert torch.equal(whole(images()), back(images()))


def test_without_builder_a_factory_is_asked_for(tmp_path):
    save(tiny_component(), tmp_path / "pets")
    with pytest.raises(BadConfig, match="pass factory="):
        load(tmp_path / "pets")
    with pytest.raises(BadConfig, match=r"gave int, not a torch\.nn.Module"):
        load(tmp_path / "pets", factory=lambda: 3)


def test_a_torchvision_network_needs_no_factory(tmp_path, registry):
    module = torchvision.models.resnet18(weights=None, num_classes=5).eval()
    builder = Builder("torchvision:resnet18", {"num_classes": 5})
    part = Component(module, classes=list("abcde"), labels=range(5), origin=origin(builder=builder)).eval()
    save(part, tmp_path / "resnet")
    back = load(tmp_path / "resnet")
    assert back.origin.builder == builder
    assert_same_tensors(part, back)
    x = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    assert torch.equal(part(x), back(x))


def test_digest_follows_names_types_shapes_and_values_only():
    module = nn.Linear(2, 1, bias=False)
    module.weight.data = torch.tensor([[1.0, 2.0]])
    told = hashlib.sha256(b"weight\0torch.float32\0(1, 2)\0" + bytes.fromhex("0000803f00000040")).hexdigest()
    assert digest_of(module) == told
    assert digest_of(module.train()) == digest_of(module.eval()) == told
    assert digest_of(module.double()) != told
    part = tiny_component()
    assert digest_of(part) == digest_of(tiny_component().to(memory_format=torch.channels_last))
    part.module.bn.num_batches_tracked += 1
    assert digest_of(part) != digest_of(tiny_component())


def test_digest_does_not_follow_the_order_of_the_layers():
    one, other = nn.ModuleDict(), nn.ModuleDict()
    for key in "ab":
        one[key] = nn.BatchNorm1d(2)
    for key in "ba":
        other[key] = nn.BatchNorm1d(2)
    assert list(one.state_dict()) != list(other.state_dict())
    assert digest_of(one) == digest_of(other)


def test_tensors_over_one_storage_come_back_apart(tmp_path):
    part = tiny_component()
    storage = torch.arange(20.0)
    part.module.head.bias.data, part.module.mix.bias.data = storage[:2], storage[:5]
    save(part, tmp_path / "pets")
    back = load(tmp_path / "pets", factory=Tiny)
    assert_same_tensors(part, back)
    assert back.module.head.bias.untyped_storage().nbytes() == 8


@pytest.mark.parametrize("wrong", [Tiny(), {"component": Tiny()}, "Tiny", 3], ids=lambda wrong: type(wrong).__name__)
def test_a_factory_that_is_no_function_is_refused(tmp_path, wrong):
    save(tiny_component(), tmp_path / "pets")
    with pytest.raises(BadConfig, match="give a function without arguments that builds the uncut network"):
        load(tmp_path / "pets", factory=wrong)
