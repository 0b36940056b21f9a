"""`lotvine capture`."""

import json
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import click
import msgspec

from node.api.client import RpcClient, RpcError, UnreachableError
from node.api.schema.events import CaptureAnswer
from node.cli.entry import FAILED, describe_failure, say_error
from node.cli.options import call_node, home_option, json_option
from node.errors import ConfigError
from node.intake.results import FindingResult, Verdict
from node.query.one_line import one_line

FILE_BYTES_MAX = 1024 * 1024 * 1024
_CUT_SHORT = "Input data was truncated"
"""How msgspec says it."""


@click.command("capture")
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@home_option
@click.option(
    "--wait",
    type=click.Choice(["accepted", "final"]),
    default="accepted",
    show_default=True,
    help="Answer once durable at this node, or once all nodes agree on it.",
)
@json_option
def command(files: tuple[Path, ...], home: Path, wait: str, *, as_json: bool) -> None:
    """Enter EPCIS 2.0 documents (JSON or JSON-LD) at a node; exit code 1 if anything was refused, at the end too."""
    documents = _read_files(files)

    async def ask(client: RpcClient) -> list[tuple[Path, bytes | RpcError]]:
        answers: list[tuple[Path, bytes | RpcError]] = []
        for path, document in documents:
            params = {"document": msgspec.Raw(document), "wait": wait}
            try:
                answers.append((path, await client.call_raw("event.capture", params)))
            except RpcError as error:
                answers.append((path, error))
            except UnreachableError as error:
                # It may have taken the document, or a part of it, before it went.
                words = f"{error}; once it runs, enter {path} again: what was taken already is not entered twice"
                raise type(error)(words) from error
            if not as_json:
                _say(*answers[-1], is_final=wait == "final")
        return answers

    answers = call_node(home, ask)
    if as_json:
        click.echo(json.dumps({"files": [_to_json(path, answer) for path, answer in answers]}, ensure_ascii=False))
    refused = any(
        isinstance(answer, RpcError) or _is_refused(msgspec.json.decode(answer, type=CaptureAnswer))
        for _, answer in answers
    )
    sys.exit(FAILED if refused else 0)


def _is_refused(answer: CaptureAnswer) -> bool:
    """Return whether any of it was refused; master data alone can be, too."""
    return answer.verdict in {Verdict.REJECTED, Verdict.PARTIAL}


def _read_files(files: tuple[Path, ...]) -> list[tuple[Path, bytes]]:
    """Return each file's JSON. Raises ConfigError for all that cannot be read or are no JSON: nothing is sent then."""
    documents, problems = [], []
    for path in files:
        try:
            if path.stat().st_size > FILE_BYTES_MAX:
                problems.append(f"{path}: over {FILE_BYTES_MAX} bytes: split it")
                continue
            content = path.read_bytes().removeprefix(b"\xef\xbb\xbf")
            msgspec.json.decode(content, type=msgspec.Raw)
        except OSError as error:
            problems.append(f"{path}: {error.strerror or error}")
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            problems.append(f"{path}: {_why_no_json(content, error)}")
        else:
            documents.append((path, content))
    if problems:
        raise ConfigError([*problems[:-1], f"{problems[-1]} (nothing was sent)"])
    return documents


def _why_no_json(content: bytes, error: Exception) -> str:
    """Return what is wrong with a file that is no JSON, in words for who only knows the file."""
    start = content[:64].lstrip()
    if not start and not content.strip():
        return "the file is empty"
    if start.startswith(b"<"):
        return "this is XML: EPCIS 2.0 is taken as JSON or JSON-LD, and EPCIS 1.2 once it is converted to that"
    return "not JSON: it ends too early" if str(error) == _CUT_SHORT else f"not JSON: {error}"


def _to_json(path: Path, answer: bytes | RpcError) -> dict[str, Any]:
    if isinstance(answer, RpcError):
        return {"file": str(path), "error": describe_failure(answer)}
    return {"file": str(path), "result": json.loads(answer)}


def _say(path: Path, answer: bytes | RpcError, *, is_final: bool) -> None:
    """Say what became of a document. is_final: all that it names is final."""
    if isinstance(answer, RpcError):
        where = f" ({answer.field})" if answer.field else ""
        hint = f": {answer.hint}" if answer.hint else ""
        say_error([one_line(f"{path}: {answer.message}{where} [{answer.code}]{hint}")])
        return
    result = msgspec.json.decode(answer, type=CaptureAnswer)
    counts = result.counts
    entered = counts.accepted + counts.warning
    parts = [f"{entered} {result.state}" if entered else "nothing entered" if _is_refused(result) else "nothing new"]
    parts += [f"{counts.warning} of them with a warning"] if counts.warning else []
    parts += [f"{counts.duplicate} known already{' and final' if is_final else ''}"] if counts.duplicate else []
    parts += [f"{counts.rejected} refused"] if counts.rejected else []
    click.echo(f"{path}: {', '.join(parts)}")
    _say_refused_transactions(result)
    for finding in (*result.warnings, *result.notices):
        _say_finding("document", finding, finding.path)
    for event in result.events:
        errors = () if event.transaction is not None and event.verdict is Verdict.REJECTED else event.errors
        for kind, findings in (("refused", errors), ("warning", event.warnings), ("note", event.notices)):
            for finding in findings:
                _say_finding(kind, finding, finding.path or f"event {event.index}")


def _say_refused_transactions(result: CaptureAnswer) -> None:
    """Say what execution refused, once for all events of a transaction: they share its fate."""
    refused = Counter(
        (event.transaction, event.errors[-1].code, event.errors[-1].message)
        for event in result.events
        if event.transaction is not None and event.verdict is Verdict.REJECTED
    )
    for (transaction, code, message), count in refused.items():
        what = f"{count} {'event' if count == 1 else 'events'} in transaction {transaction}"
        click.echo(f"  refused: {what}: {message} [{code}]", err=True)
    named = {transaction for transaction, _, _ in refused}
    for final in result.final:
        if final.verdict != "accepted" and final.id not in named:
            click.echo(f"  refused: master data in transaction {final.id} [{final.verdict}]", err=True)


def _say_finding(kind: str, finding: FindingResult, where: str) -> None:
    # A path holds keys as whoever wrote the document spelt them.
    click.echo(one_line(f"  {kind}: {where}: {finding.message} [{finding.code}]"), err=True)
