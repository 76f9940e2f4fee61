"""Every way in which this library says no: one base class, one child a kind of refusal.

A message says what is wrong, where (a layer path, a file), and what to do about it.
Each child is also the builtin error that it resembles, so that ordinary `except ValueError` works.
"""


class LegoError(Exception):
    """Base of all errors that this library raises on purpose."""


class UnsupportedOpError(LegoError, TypeError):
    """The network uses an operator that the rule table does not have."""

    def __init__(self, op: str, where: str) -> None:
        self.op = op
        self.where = where
        place = f"layer '{where}'" if where else "the forward of the network"
        super().__init__(
            f"operator {op} in {place} is not in the table of operator rules; "
            "add a row for it (docs/how-to/add-an-operator.md) or replace the layer"
        )


class RefusedError(LegoError, ValueError):
    """The network does something that cannot be taken apart; the message says what and where."""


class TraceFailed(LegoError, RuntimeError):
    """torch.export could not turn the network into a graph."""


class ShapeMismatch(LegoError, ValueError):
    """Images, labels or tensors do not have the shape that the network needs."""


class BadBatches(LegoError, ValueError):
    """The image batches cannot be used: one-shot, empty, NaN, labels out of range."""


class EmptySelection(LegoError, ValueError):
    """A class has no samples, or nothing is left to keep."""


class UnknownClass(LegoError, ValueError):
    """A class was asked for that the source does not have."""


class ClassClash(LegoError, ValueError):
    """Two components bring the same class and no policy was named."""


class IncompatibleComponents(LegoError, ValueError):
    """Components cannot be joined in the layout that was asked for."""


class CutMismatch(LegoError, RuntimeError):
    """The cut network is not what was planned: its forward has channel counts written into it."""


class CorruptComponent(LegoError, ValueError):
    """A saved component or assembly is damaged or was tampered with."""


class SchemaTooNew(LegoError, ValueError):
    """A saved component was written by a newer version of this library."""


class OutputExists(LegoError, FileExistsError):
    """The output folder exists already and overwriting was not asked for."""


class CannotWrite(LegoError, OSError):
    """An output cannot be written where it was asked for: the place, the disk or its rights do not allow it."""

    def __init__(self, where: object, why: str) -> None:
        self.where = where
        super().__init__(f"'{where}' cannot be written: {why}")


class ProcessFailed(LegoError, RuntimeError):
    """Another of the processes that share a job failed; the message has its words."""


class TrainingFailed(LegoError, ArithmeticError):
    """A training went astray: its loss is not finite any more."""


class BadConfig(LegoError, ValueError):
    """An option has a value that makes no sense."""


class ExportFailed(LegoError, RuntimeError):
    """A part cannot be written in a format, or the file does not give what the part gives."""


class BadWeights(LegoError, ValueError):
    """A weights file holds no state dict, or none that fits the network."""


class CannotFetch(LegoError, OSError):
    """Published weights, a network or a part are not in the cache, and there is no way to fetch them."""
