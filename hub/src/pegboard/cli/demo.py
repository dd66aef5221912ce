"""`pegboard demo`: sample data in real databases, served by a real hub."""

import json
import os
from importlib.metadata import EntryPoint
from pathlib import Path

import click

from pegboard.cli.clients import CLIENTS
from pegboard.cli.demos import Demo, default_folder, installed_demos, remedy, running, with_demos, without_overrides
from pegboard.cli.failures import Failure
from pegboard.cli.options import address_options, config_option, debug_option, json_option
from pegboard.cli.ready import describe, ready_text, say_ready
from pegboard.cli.starting import log_to_stderr, read_settings, run, stopped_by_signal
from pegboard.cli.text import indented, print_json
from pegboard.hub import Hub
from pegboard.serving.server import serve_http
from pegboard.settings import HubSettings
from pegboard.telemetry import telemetry
from pegboard.validation import did_you_mean


@click.command
@click.option("--with", "names", multiple=True, metavar="PLUGIN", help="Only this plugin's demo; can be repeated.")
@click.option(
    "--folder",
    type=click.Path(path_type=Path, file_okay=False),
    help="Keep the sample databases here, instead of in your folder for application data.",
)
@address_options
@config_option
@json_option("When ready, print endpoints and questions as one line of JSON on standard output.")
@debug_option
def command(
    names: tuple[str, ...],
    folder: Path | None,
    host: str | None,
    port: int | None,
    config: Path | None,
    as_json: bool,
) -> None:
    """Serve sample data in real databases, set up in seconds.

    Starts the demo of every installed plugin that has one, serves them all, and shows how to connect a client and
    what to ask. Nothing has to be installed or configured beside the plugin's extra `demo`. The data is kept, so the
    second start is faster. Ctrl-C stops everything.

    \b
    Example:
      pip install 'pegboard[demo]'
      pegboard demo
    """
    settings = read_settings(config, server={"host": host, "port": port})
    log_to_stderr(settings.log.level, settings.log.format)
    points = _chosen(installed_demos(), names)
    if not points:
        raise Failure(f"no demo is installed; {remedy()} brings one")
    with stopped_by_signal():
        run(serve, settings, points, folder or default_folder(), as_json)


async def serve(settings: HubSettings, points: list[EntryPoint], folder: Path, as_json: bool) -> None:
    """Start the demos and serve a hub that uses them; raises `Failure` when none could start."""
    with telemetry(settings.telemetry):
        async with running(points, folder, settings.trust.allow, say) as demos:
            if not demos:
                raise Failure("no demo could start; what it takes is said above")
            environ = without_overrides(os.environ.items(), demos)
            async with Hub(with_demos(settings, demos), environ=environ) as hub:
                await serve_http(hub, on_ready=lambda url: tell_ready(hub, demos, url, as_json))


def say(text: str) -> None:
    """Tell how it goes."""
    click.echo(f"{click.style('demo:', fg='cyan')} {text}", err=True)


def tell_ready(hub: Hub, demos: list[Demo], url: str, as_json: bool) -> None:
    """Say on standard error how to connect and what to ask, and on standard output too for programs."""
    say_ready(ready_text(hub, url))
    snippet = json.dumps(CLIENTS["claude"].configuration("pegboard", f"{url}/sse"), indent=2)
    click.echo("or Claude Desktop with the following, and a restart of it", err=True)
    click.echo(f"(`pegboard connect claude --url {url} --write` writes it for you)\n\n{indented(snippet)}\n", err=True)
    for demo in demos:
        click.echo(_invitation(demo), err=True)
    click.echo("Ctrl-C stops the demo.", err=True)
    if as_json:
        described = [{"name": demo.name, "about": demo.about, "questions": demo.questions} for demo in demos]
        print_json({**describe(hub, url), "demos": described})


def _chosen(points: list[EntryPoint], names: tuple[str, ...]) -> list[EntryPoint]:
    known = [point.name for point in points]
    for name in names:
        if name not in known:
            hint = did_you_mean(name, known) or (f"there are {', '.join(known)}" if known else remedy())
            raise click.UsageError(f"there is no demo for {name!r}; {hint}", click.get_current_context())
    return [point for point in points if not names or point.name in names]


def _invitation(demo: Demo) -> str:
    questions = "\n".join(f"{number}. {text}" for number, text in enumerate(demo.questions, 1))
    return f"{click.style(demo.name, bold=True)}: {demo.about} Ask your client:\n\n{indented(questions)}\n"
