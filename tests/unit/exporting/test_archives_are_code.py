"""Why no part holds an archive of torch.export, and none of a stranger is opened: what torch does on loading one."""

import builtins
import contextlib
import zipfile

import pytest
import torch
from torch import nn


class Told:
    """Leaves a trace where it is unpickled."""

    def __init__(self, code):
        self.code = code

    def __reduce__(self):
        return builtins.exec, (self.code,)


@pytest.mark.filterwarnings("ignore")
def test_loading_an_archive_of_torch_export_runs_code_that_it_holds(tmp_path):
    honest, forged, trace = tmp_path / "honest.pt2", tmp_path / "forged.pt2", tmp_path / "trace"
    torch.export.save(torch.export.export(nn.Linear(2, 2).eval(), (torch.rand(1, 2),)), honest)
    torch.save((Told(f"open({str(trace)!r}, 'w').close()"),), tmp_path / "pickled")
    with zipfile.ZipFile(honest) as whole, zipfile.ZipFile(forged, "w") as changed:
        places = [name for name in whole.namelist() if "sample_inputs" in name]
        for name in whole.namelist():
            data = (tmp_path / "pickled").read_bytes() if name in places else whole.read(name)
            changed.writestr(name, data)
    assert len(places) == 1
    torch.export.load(honest)
    assert not trace.exists()
    with contextlib.suppress(Exception):  # that it is refused comes too late
        torch.export.load(forged)
    assert trace.exists()
