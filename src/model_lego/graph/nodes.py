"""What is asked of an exported operator: where in the network and in the user's code it stands, what it does."""

from torch import fx

from model_lego.graph.ops.gathering import GIVEN


def module_path(node: fx.Node) -> str:
    """Path of the innermost module whose forward makes a call; "" for the network itself."""
    stack = list((node.meta.get("nn_module_stack") or {}).values())
    return str(stack[-1][0]) if stack else ""


def from_tensors(graph: fx.Graph, image: str) -> set[fx.Node]:
    """The values that are made of a network's own tensors alone, and not of what it is given."""
    found: set[fx.Node] = set()
    for node in graph.nodes:
        if node.op == "placeholder":
            made = node.name != image
        else:
            inputs = node.all_input_nodes
            made = node.op == "call_function" and node.target is not GIVEN and bool(inputs) and found.issuperset(inputs)
        if made:
            found.add(node)
    return found


def place_of(node: fx.Node) -> str:
    """Where a call is made, for people to read."""
    path = module_path(node)
    return f"layer '{path}'" if path else "the forward of the network"


def source_line(node: fx.Node) -> str:
    """File and line of the user's code that makes a call, to tell one place in the code from another."""
    lines = [line.strip() for line in (node.meta.get("stack_trace") or "").splitlines()]
    places = [line for line in lines if line.startswith("File ")]
    return places[-1] if places else node.name


def writes(node: fx.Node) -> bool:
    """Whether an operator changes a value in place."""
    schema = getattr(node.target, "_schema", None)
    return schema is not None and bool(schema.is_mutable)


def asserts(node: fx.Node) -> bool:
    """Whether an operator gives nothing and only looks at what it takes."""
    return node.meta.get("val") is None and str(node.target).removeprefix("aten.").startswith(("_assert", "sym_"))
