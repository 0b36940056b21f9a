"""`node.toml` as text: what is set, and every other key with its default as a comment."""

import json
import textwrap
from collections.abc import Mapping

from node.config.settings import describe_keys


def render_settings(values: Mapping[str, object]) -> str:
    """Return a whole `node.toml` in which the dotted keys of `values` are set. Values: strings, integers, lists."""
    lines = ["# Settings of this node alone. What all nodes share is in genesis.json.", ""]
    table = ""
    for key in describe_keys():
        here, _, field = key.path.partition(".")
        if here != table:
            lines += ([""] if table else []) + [f"[{here}]"]
            table = here
        lines += [f"# {line}" for line in textwrap.wrap(key.docs, 100)]
        if key.path in values:
            lines.append(f"{field} = {_render(values[key.path])}")
        else:
            lines.append(f"# {field} = {_render(key.default)}")
    return "\n".join(lines) + "\n"


def _render(value: object) -> str:
    # A JSON string, integer or list without surrogates is the same in TOML.
    return json.dumps(value)
