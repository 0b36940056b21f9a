"""From flags, environment and file to `Settings`, with the origin of each value and all problems at once.

Precedence: flag, then environment (`LOTVINE_P2P__LISTEN`), then `node.toml`, then the default.
"""

import difflib
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from node.config.addresses import is_loopback, parse_address
from node.config.settings import ENVIRONMENT_PREFIX, Key, Settings, describe_keys
from node.errors import ConfigError
from node.validation import explain_fault

FILE_BYTES_MAX: Final = 1_048_576
_LOOPBACK_ONLY: Final = frozenset({"rpc.listen", "operations.listen"})
_ADDRESSES: Final = _LOOPBACK_ONLY | {"p2p.listen", "p2p.join"}
_NOT_SETTINGS: Final = frozenset({"LOTVINE_HOME"})


@dataclass(frozen=True, slots=True)
class Loaded:
    """Settings and, for each dotted key, where its value came from, in words."""

    settings: Settings
    origins: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class _Given:
    value: object
    origin: str
    is_text: bool
    """Whether numbers too come as text, as in the environment."""


def load_settings(path: Path | None, *, environment: Mapping[str, str], flags: Mapping[str, object]) -> Loaded:
    """Return the settings of a node.

    path: its `node.toml`, which must exist; None for none. environment: such as os.environ. flags: dotted key to
    value, for those that were given. Raises ConfigError with every problem found.
    """
    problems: list[str] = []
    keys = {key.path: key for key in describe_keys()}
    given: dict[str, _Given] = {}
    if path is not None:
        _read_file(path, keys, given, problems)
    _read_environment(environment, keys, given, problems)
    for name, value in flags.items():
        option = "--" + name.replace(".", "-").replace("_", "-")
        given[name] = _Given(value, f"flag {option}", is_text=isinstance(value, str))
    values: dict[str, dict[str, object]] = {}
    origins: dict[str, str] = {}
    for key in keys.values():
        table, _, field = key.path.partition(".")
        origins[key.path] = "default"
        if (one := given.get(key.path)) is None:
            continue
        origins[key.path] = one.origin
        given_value = one.value
        if one.is_text and isinstance(key.default, tuple):
            given_value = [part.strip() for part in str(given_value).split(",") if part.strip()]
        try:
            value = msgspec.convert(given_value, key.type, strict=not one.is_text)
        except msgspec.ValidationError as error:
            problems.append(f"{one.origin}: {key.path} = {one.value!r}: {explain_fault(error).words}")
            continue
        _check_address(key, value, one.origin, problems)
        values.setdefault(table, {})[field] = value
    if problems:
        raise ConfigError(problems)
    return Loaded(msgspec.convert(values, Settings), origins)


def _check_address(key: Key, value: object, origin: str, problems: list[str]) -> None:
    if key.path not in _ADDRESSES:
        return
    addresses = []
    for text in value if isinstance(value, tuple) else (value,):
        try:
            addresses.append(parse_address(str(text)))
        except ValueError as error:
            problems.append(f"{origin}: {key.path}: {error}")
    if key.path in _LOOPBACK_ONLY and not all(map(is_loopback, addresses)):
        problems.append(
            f"{origin}: {key.path} = {value!r} can be reached from other machines, and there are no access tokens "
            "yet: use 127.0.0.1 or [::1], and a tunnel for remote use"
        )


def _read_file(path: Path, keys: Mapping[str, Key], given: dict[str, _Given], problems: list[str]) -> None:
    try:
        with path.open("rb") as file:
            content = file.read(FILE_BYTES_MAX + 1)
        if len(content) > FILE_BYTES_MAX:
            problems.append(f"{path}: over {FILE_BYTES_MAX} bytes: this is no node.toml")
            return
        document = tomllib.loads(content.decode("utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        problems.append(f"{path}: {error}")
        return
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        problems.append(f"{path}: not TOML: {error}")
        return
    tables = {name.partition(".")[0] for name in keys}
    for table, fields in document.items():
        if table not in tables:
            problems.append(f"{path}: unknown table [{table}]{_nearest(table, tables)}")
        elif not isinstance(fields, dict):
            problems.append(f"{path}: {table} is a table of keys, written [{table}]")
        else:
            for field, value in fields.items():
                name = f"{table}.{field}"
                if name in keys:
                    given[name] = _Given(value, str(path), is_text=False)
                else:
                    problems.append(f"{path}: unknown key {name}{_nearest(name, keys)}")


def _read_environment(
    environment: Mapping[str, str], keys: Mapping[str, Key], given: dict[str, _Given], problems: list[str]
) -> None:
    by_variable = {key.variable: key for key in keys.values()}
    for variable in sorted(environment):
        if not variable.startswith(ENVIRONMENT_PREFIX) or variable in _NOT_SETTINGS:
            continue
        if (key := by_variable.get(variable)) is None:
            problems.append(f"environment: unknown variable {variable}{_nearest(variable, by_variable)}")
        else:
            given[key.path] = _Given(environment[variable], f"environment {variable}", is_text=True)


def _nearest(name: str, known: Mapping[str, object] | set[str]) -> str:
    near = difflib.get_close_matches(name, sorted(known), n=1, cutoff=0.5)
    return f": did you mean {near[0]}?" if near else f": known are {', '.join(sorted(known))}"
