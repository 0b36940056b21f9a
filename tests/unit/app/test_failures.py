"""What ends a node is told once, by its kind, with the exit code that goes with it."""

import pytest

from consensus.errors import InvariantError
from node.app.failures import FAILED, find_cause, report_failure
from node.errors import ConfigError, StorageError


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (StorageError("disk"), StorageError),
        (ExceptionGroup("a", [ValueError("x"), ExceptionGroup("b", [StorageError("disk")])]), StorageError),
        (ExceptionGroup("a", [ConfigError(["port"]), StorageError("disk"), InvariantError("bug")]), InvariantError),
        (ExceptionGroup("a", [ValueError("x"), ConfigError(["port"])]), ConfigError),
        (BaseExceptionGroup("a", [KeyboardInterrupt(), ValueError("x")]), ValueError),
        (KeyboardInterrupt(), KeyboardInterrupt),
    ],
)
def test_of_all_that_ended_together_the_one_that_says_most_is_told(
    error: BaseException, expected: type[BaseException]
) -> None:
    """A failing task takes its group down: the group's other errors are only what followed."""
    assert type(find_cause(error)) is expected


@pytest.mark.parametrize("error", [StorageError("disk"), InvariantError("bug"), ValueError("x")])
def test_a_node_that_cannot_go_on_exits_with_1(error: Exception) -> None:
    """The log says why."""
    assert report_failure(ExceptionGroup("tasks", [error])) == FAILED


def test_a_configuration_error_is_left_to_the_command_line() -> None:
    """Exit code 2, all problems at once."""
    with pytest.raises(ConfigError, match="port"):
        report_failure(ExceptionGroup("tasks", [ConfigError(["port"])]))
