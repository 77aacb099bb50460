"""The command ``harness``. Only here do results become exit codes.

====  =====================================================================
0     valid (or the command did what it should)
1     invalid: a violation, with a witness
2     unknown: timed out, vacuous, or a checker crashed
254   bad arguments or bad input; every problem is printed
255   the harness itself failed; ``--debug`` shows the traceback
====  =====================================================================
"""

from __future__ import annotations

import importlib.util
import json
import os
import sys
from pathlib import Path
from typing import Any, NoReturn

import click
from rich.console import Console

from harness import __version__
from harness.core.errors import BadInput, HarnessError, Problem, SplitbrainError
from harness.registry import GROUPS, INSTALLED

__all__ = ["cli", "main"]

_BAD_INPUT = 254
_FAILED = 255
_FILE_WIDTH = 120
_PACKAGES = ("checkers", "clusters", "nemesis", "workloads")


class _Commands(click.Group):
    """A group whose every end is an exit code of the table above."""

    def main(self, *args: Any, **keywords: Any) -> NoReturn:
        keywords["standalone_mode"] = False
        try:
            code = super().main(*args, **keywords)
        except click.exceptions.NoArgsIsHelpError as error:
            click.echo(error.format_message(), err=True)
            code = _BAD_INPUT
        except click.ClickException as error:
            code = self._refuse([_usage_problem(error)])
        except BadInput as error:
            code = self._refuse(error.problems)
        except (click.Abort, KeyboardInterrupt):
            click.echo("interrupted", err=True)
            code = _FAILED
        except BrokenPipeError:  # the reader (head, say) has seen enough
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            code = _FAILED
        except Exception as error:  # the last line of defence: never a code that means a verdict
            code = self._fail(error)
        sys.exit(code or 0)

    def _refuse(self, problems: list[Problem] | tuple[Problem, ...]) -> int:
        from harness.screen import print_problems

        print_problems(_console(stderr=True), problems)
        return _BAD_INPUT

    def _fail(self, error: Exception) -> int:
        console = _console(stderr=True)
        kind = "" if isinstance(error, SplitbrainError) else f"{type(error).__name__}: "
        console.print("[bold red]the harness failed[/]", highlight=False)
        console.print(f"{kind}{error}", markup=False, highlight=False)
        if os.environ.get("SPLITBRAIN_DEBUG"):
            console.print_exception()
        else:
            console.print("for the traceback: --debug, or SPLITBRAIN_DEBUG=1", style="dim")
        return _FAILED


def _usage_problem(error: click.ClickException) -> Problem:
    context = getattr(error, "ctx", None)
    command = context.command_path if context is not None else "harness"
    return Problem(
        error.format_message().rstrip("."),
        f"{command} as its help describes it",
        f"see `{command} --help`",
    )


def _console(*, stderr: bool = False) -> Console:
    console = Console(stderr=stderr)
    if not console.is_terminal and "COLUMNS" not in os.environ:
        console.width = _FILE_WIDTH
    return console


def _set_debug(_: click.Context, __: click.Parameter, value: bool) -> None:
    if value:
        os.environ["SPLITBRAIN_DEBUG"] = "1"


_debug = click.option(
    "--debug",
    is_flag=True,
    expose_value=False,
    callback=_set_debug,
    help="Show the traceback when the harness fails.",
)
_json = click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")


def _require_siblings() -> None:
    """The generic names of our packages may collide with others of the environment."""
    home = Path(__file__).resolve().parent.parent
    for name in _PACKAGES:
        spec = importlib.util.find_spec(name)
        found = {
            Path(path).resolve().parent for path in (spec and spec.submodule_search_locations) or ()
        }
        if found != {home}:
            where = ", ".join(map(str, found)) or "nowhere"
            raise HarnessError(
                f"the package {name!r} comes from {where}, not from {home} like harness itself: "
                "another distribution uses the name. Install splitbrain in an environment of its "
                "own (python3 -m venv ...)"
            )


@click.group(cls=_Commands, no_args_is_help=True)
@click.version_option(__version__, prog_name="harness (splitbrain)")
@_debug
def cli() -> None:
    """Run distributed systems, break them, and prove whether they kept their promises.

    Exit codes: 0 valid, 1 invalid, 2 unknown, 254 bad input, 255 the harness failed.
    """
    _require_siblings()


@cli.command()
@click.option("--cluster", metavar="NAME", help="What to test.  [default: quorum]")
@click.option("--workload", metavar="NAME", help="What clients do.  [default: register]")
@click.option("--nemesis", "nemeses", metavar="NAME[,NAME]", help="Faults.  [default: none]")
@click.option(
    "--substrate", metavar="NAME", help="Where nodes live.  [default: auto, the strongest]"
)
@click.option("--nodes", metavar="N", help="How many nodes.  [default: the cluster's]")
@click.option("--concurrency", metavar="N", help="How many clients.  [default: 10]")
@click.option("--rate", metavar="R", help="Operations a second, all clients.  [default: 200]")
@click.option("--time-limit", "time_limit_s", metavar="T", help="60, 90s, 2m.  [default: 60s]")
@click.option("--timeout", "timeout_s", metavar="T", help="Of a client's request.  [default: 1s]")
@click.option(
    "--nemesis-interval", "interval_s", metavar="T", help="Pace of faults.  [default: 5s]"
)
@click.option("--recovery", "recovery_s", metavar="T", help="Wait after healing.  [default: 30s]")
@click.option("--seed", metavar="N", help="Of all randomness.  [default: a new one]")
@click.option(
    "--consistency-model",
    metavar="NAME",
    help="What transactions are judged by.  [default: the checker's]",
)
@click.option(
    "--store",
    metavar="DIR",
    type=click.Path(path_type=Path),
    default=Path("store"),
    show_default=True,
    help="Where results go.",
)
@click.option(
    "-o",
    "options",
    metavar="NAME=VALUE",
    multiple=True,
    help="An option of the cluster, workload, nemesis or substrate; see `harness list`.",
)
@_json
@_debug
def test(
    store: Path,
    options: tuple[str, ...],
    consistency_model: str | None,
    as_json: bool,
    **texts: str | None,
) -> int:
    """Deploy a cluster, use it, break it, and judge what clients saw."""
    from harness.choices import read_choices
    from harness.live import view_on
    from harness.plan import make_plan
    from harness.resolve import CONSISTENCY_MODEL
    from harness.runner import run_test

    if consistency_model is not None:
        options += (f"{CONSISTENCY_MODEL}={consistency_model}",)
    choices, problems = read_choices(texts, options)
    try:
        plan = make_plan(choices)
    except BadInput as error:
        raise BadInput([*problems, *error.problems]) from None
    if problems:
        raise BadInput(problems)
    console = _console(stderr=as_json)
    with view_on(console) as observer:
        outcome = run_test(plan, store, observer)
    _show_run(console, outcome.directory, outcome.verdict)
    if as_json:
        click.echo(json.dumps(outcome.verdict.to_json(), indent=2))
    return outcome.verdict.validity.exit_code


def _show_run(console: Console, directory: Path, verdict: Any) -> None:
    from harness.formats.jsonl import read_history
    from harness.screen import print_repeat, print_verdict
    from harness.store import open_run

    run = open_run(directory)
    history = None
    if verdict.all_anomalies():
        history = read_history(run.history_path, tolerate_torn_tail=True)
    print_verdict(console, verdict, history)
    report = run.report_path if run.report_path.exists() else None
    command = tuple(run.plan()["command"])
    print_repeat(console, report=report, directory=run.directory, command=command)


@cli.command()
@click.argument(
    "paths", metavar="RUN-OR-FILE...", nargs=-1, required=True, type=click.Path(path_type=Path)
)
@click.option(
    "--model",
    metavar="NAME",
    help="What a history is checked against: register, queue, list-append, causal, set-full, ...  "
    "[default: cas-register]",
)
@click.option(
    "--consistency-model",
    metavar="NAME",
    help="The one model to judge by, such as snapshot-isolation.  [default: the checker's]",
)
@click.option(
    "--checker", metavar="NAME", help="Which checker.  [default: the run's; linearizable]"
)
@click.option(
    "-o",
    "options",
    metavar="NAME=VALUE",
    multiple=True,
    help="An option of the checker; see `harness list checkers`.",
)
@click.option("--time-limit", metavar="T", help="Give up after this time.  [default: 60s]")
@click.option(
    "--memory-limit", metavar="SIZE", help="Give up when the process holds this.  [default: none]"
)
@click.option("--format", metavar="NAME", help="The format of the files.  [default: guessed]")
@click.option("--convert", metavar="NAME", help="Check nothing, but write this format to --output.")
@click.option("--output", metavar="FILE", type=click.Path(path_type=Path))
@click.option(
    "--report",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Write the page of one history: the verdict, and the proof on a timeline.",
)
@_json
@_debug
def check(
    paths: tuple[Path, ...],
    *,
    convert: str | None,
    output: Path | None,
    report: Path | None,
    as_json: bool,
    options: tuple[str, ...],
    **texts: str | None,
) -> int:
    """Check finished runs (a directory of the store), or histories (files, also compressed).

    A model is a sequential specification (register, queue, set, ...: is it linearizable?) or a
    checker (list-append, rw-register, causal, session, set-full, bank, ...: `harness list checkers`
    names them all). Formats are guessed. A run is analysed again as its test did it, and its
    verdict and report are written anew; a file, or a run with --model or --checker, is checked with
    one checker, and nothing is written but --report.

    Of several, all are read before the first is checked. The exit code is that of the worst:
    invalid, then unknown, then valid.
    """
    from harness.check import check_paths
    from harness.check import convert as convert_history
    from harness.screen import print_verdict

    if (convert is None) != (output is None):
        raise click.UsageError("Found one of --convert and --output; needed both, or neither.")
    if convert is not None and report is not None:
        raise click.UsageError("Found --convert and --report; needed at most one of them.")
    if convert is not None and output is not None:
        convert_history(paths, convert, output, format=texts["format"])
        return 0
    console = _console(stderr=as_json)
    results = check_paths(
        paths,
        **texts,
        options=options,
        report=report,
        warn=lambda text: console.print(f"note {text}", style="yellow", markup=False),
    )
    found = []
    for result in results:
        if len(paths) > 1:
            console.rule(str(result.path), align="left")
        print_verdict(console, result.verdict, result.history)
        if as_json:
            click.echo(json.dumps(result.to_json()))
        found.append(result.verdict.validity)
    if report is not None:
        console.print(f"\nreport  {report}", markup=False, highlight=False, soft_wrap=True)
    return max(found, key=_severity).exit_code


def _severity(validity: Any) -> int:
    """Invalid is worse than unknown, though its exit code is smaller."""
    return {0: 0, 2: 1, 1: 2}[validity.exit_code]


@cli.command()
@click.argument("run", type=click.Path(path_type=Path))
@_debug
def report(run: Path) -> int:
    """Write the report of a finished run anew."""
    from harness.check import require_run
    from harness.runner import write_report

    click.echo(write_report(require_run(run, "verdict.json")))
    return 0


@cli.command("list")
@click.argument("groups", nargs=-1, type=click.Choice(GROUPS))
@_debug
def list_(groups: tuple[Any, ...]) -> int:
    """Everything that can be named, with its options."""
    from harness.screen import print_entries

    console = _console()
    for group in groups or GROUPS:
        print_entries(console, group, INSTALLED.survey(group))
    return 0


@cli.command()
@_json
@_debug
def doctor(as_json: bool) -> int:
    """What this machine can do, and what to install for the rest."""
    from harness.doctor import examine
    from harness.screen import print_findings

    findings = examine()
    if as_json:
        click.echo(json.dumps([finding.to_json() for finding in findings], indent=2))
    else:
        print_findings(_console(), findings)
    return 0


@cli.command()
@click.option(
    "--store",
    type=click.Path(path_type=Path),
    default=Path("store"),
    show_default=True,
    metavar="DIR",
    help="Also look through the ledgers of this store.",
)
@_debug
def heal(store: Path) -> int:
    """Undo what killed runs left behind: faults, namespaces, processes."""
    from harness.heal import heal_all
    from harness.screen import print_healing

    reports = heal_all(store if store.is_dir() else None)
    print_healing(_console(), reports)
    return _FAILED if any(report.failures for report in reports) else 0


def main() -> NoReturn:
    """The entry point of the command."""
    cli.main(prog_name="harness")
