import json
import sys
from argparse import ArgumentParser, ArgumentTypeError
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from accounts import bounds
from accounts.management.arguments import moment, whole
from accounts.models import ApiKey, Team
from routing.export import Export, ExportFailed, ExportQuery, Progress
from routing.export.parquet import ParquetUnavailable
from routing.models import PayloadRecord
from routing.table_loader import current_revision

BAR = 30
TOKENS = whole(most=bounds.MOST_TOKENS, least=0)


def _status(text: str) -> int:
    if len(text) == 3 and text[1:].lower() == "xx" and text[0] in "12345":
        return int(text[0])
    if text.isdecimal() and 100 <= int(text) <= 599:
        return int(text)
    raise ArgumentTypeError(f"'{text}' is not a status, such as 200 or 5xx")


class Command(BaseCommand):
    help = (
        "Writes stored prompts and answers (payload logging) into a data set: .jsonl, .jsonl.gz or .parquet by its name. "
        "Run again after an interruption, it goes on where it was."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", type=Path, help="ends in .jsonl, .jsonl.gz or .parquet")
        parser.add_argument("--format", choices=("openai", "sharegpt", "raw"), default="openai", dest="shape")
        parser.add_argument("--from", type=moment, dest="since", help="first moment (UTC unless it says otherwise)")
        parser.add_argument("--to", type=moment, dest="until", help="first moment that is no longer included")
        parser.add_argument("--model", action="append", default=[], help="name, or beginning with * behind; repeatable")
        parser.add_argument("--team", action="append", default=[], help="name; repeatable")
        parser.add_argument("--key", default="", help="number or name")
        parser.add_argument(
            "--status", type=_status, help="200, or a class such as 5xx (default: what the format can use)"
        )
        parser.add_argument("--min-tokens", type=TOKENS, default=0, help="input and output together")
        parser.add_argument("--redact", action="store_true", help="look for personal data once more")
        parser.add_argument("--dedupe", action="store_true", help="equal lines once")
        parser.add_argument("--json", action="store_true", help="print the manifest as JSON")

    def handle(self, *_: Any, **options: Any) -> None:
        query = ExportQuery(
            format=options["shape"],
            since=options["since"],
            until=options["until"],
            models=tuple(options["model"]),
            teams=tuple(options["team"]),
            key=options["key"],
            status=options["status"],
            min_tokens=options["min_tokens"],
            redact=options["redact"],
            dedupe=options["dedupe"],
        )
        _refuse_unknown(query)
        try:
            export = Export(query, options["file"], revision=current_revision(), tell=self._tell)
            manifest = export.run()
        except (ExportFailed, ParquetUnavailable) as error:
            raise CommandError(str(error)) from error
        except OSError as error:
            raise CommandError(f"The file cannot be written: {error}") from error
        if self._is_terminal():
            self.stderr.write("")
        if options["json"]:
            self.stdout.write(json.dumps(manifest))
        else:
            self.stdout.write(_sentence(manifest, resumed=export.resumed))

    def _tell(self, progress: Progress) -> None:
        if self._is_terminal():
            self.stderr.write(f"\r{bar(progress)}", ending="")
            self.stderr.flush()

    def _is_terminal(self) -> bool:
        return sys.stderr.isatty()


def _refuse_unknown(query: ExportQuery) -> None:
    """A misspelt name would give an empty data set that looks like an answer. What is deleted may still have stored rows."""
    if query.since is not None and query.until is not None and query.since >= query.until:
        raise CommandError("--from must be before --to.")
    for team in query.teams:
        if not Team.objects.filter(name=team).exists() and not PayloadRecord.objects.filter(team=team).exists():
            raise CommandError(f"--team: There is no team '{team}', and no stored row of one.")
    if query.key and not ExportQuery(format="raw", key=query.key).rows().exists() and not _is_key(query.key):
        raise CommandError(f"--key: There is no key with the number or name '{query.key}', and no stored row of one.")


def _is_key(text: str) -> bool:
    return ApiKey.objects.filter(**{"pk" if text.isdecimal() else "name": text}).exists()


def bar(progress: Progress) -> str:
    share = progress.read / progress.total if progress.total else 1.0
    filled = int(share * BAR)
    rate = progress.read / progress.elapsed_s if progress.elapsed_s else 0
    return (
        f"[{'#' * filled}{'.' * (BAR - filled)}] {share:4.0%} {progress.read:,} of {progress.total:,} rows, "
        f"{progress.written:,} written, {rate:,.0f} rows/s"
    )


def _sentence(manifest: dict[str, Any], *, resumed: bool) -> str:
    counts = manifest["counts"]
    skipped = ", ".join(f"{count:,} {reason}" for reason, count in counts["skipped"].items())
    parts = [f"{counts['written']:,} of {counts['read']:,} rows written to {manifest['file']}"]
    parts += [f"{counts['duplicates']:,} duplicates left out"] if counts["duplicates"] else []
    parts += [f"skipped: {skipped}"] if skipped else []
    parts += ["went on where an earlier run had stopped"] if resumed else []
    return "; ".join(parts) + f".\nSHA-256 {manifest['sha256']}"
