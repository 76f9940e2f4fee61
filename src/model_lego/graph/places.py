"""Where in a network, and in the user's code, an exported operator comes from."""

from torch import fx


def module_path(node: fx.Node) -> str:
    """Path of the innermost module whose forward makes a call; "" for the network itself."""
    stack = list((node.meta.get("nn_module_stack") or {}).values())
    return str(stack[-1][0]) if stack else ""


def source_line(node: fx.Node) -> str:
    """File and line of the user's code that makes a call, to tell one place in the code from another."""
    lines = [line.strip() for line in (node.meta.get("stack_trace") or "").splitlines()]
    places = [line for line in lines if line.startswith("File ")]
    return places[-1] if places else node.name
