"""What is wrong with an event or a document, with a stable code and the path of the field."""

from node.errors import RequestError


class UnreadableEventError(RequestError):
    """An event or master data that our rules cannot read.

    code: lower-case words joined by underscores, stable. path: the field, such as `quantityList[0].quantity`; empty
    for the whole.
    """

    def __init__(self, code: str, path: str, message: str) -> None:
        super().__init__(code, message, field=path or None)
        self.path = path


class DocumentError(RequestError):
    """Bytes that are no document we capture: nothing of them is read further."""


class IdentifierError(RequestError):
    """Text that names no item: empty, too long, or with control characters."""
