"""node/storage/errors: the way out that an error names is the right one."""

import errno

import pytest

from node.storage.errors import DISK_ADVICE, FILES_ADVICE, advise


@pytest.mark.parametrize(
    ("error", "advice"),
    [
        (OSError(errno.EMFILE, "Too many open files"), FILES_ADVICE),
        (OSError(errno.ENFILE, "file table overflow"), FILES_ADVICE),
        ("IO error: /home/data/index/000123.ldb: Too many open files", FILES_ADVICE),
        (OSError(errno.ENOSPC, "No space left on device"), DISK_ADVICE),
        ("Corruption: block checksum mismatch", DISK_ADVICE),
    ],
)
def test_no_file_left_is_not_taken_for_a_full_disk(error: object, advice: str) -> None:
    """LevelDB gives only a text, the system a number."""
    assert advise(error, DISK_ADVICE) == advice
