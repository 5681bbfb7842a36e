"""The command `ioc`: a table of contents over ``ioc/commands``.

Nothing heavy is imported here: each command imports what it needs when it runs, so that `--help`
answers at once and a small command stays small.
"""

from __future__ import annotations

import importlib
import sys
from typing import Any

import typer

from ioc.errors import IocError

# Name, module, what it does. The order is the order of a first day with the service.
COMMANDS: tuple[tuple[str, str, str], ...] = (
    ("up", "ioc.commands.up", "A whole province on this machine: broker, service, simulators."),
    ("serve", "ioc.commands.serve", "The service alone, against a broker and stores of your own."),
    ("simulate", "ioc.commands.simulate", "Simulated equipment, and faults in it on demand."),
    ("inventory", "ioc.commands.inventory", "What exists: show, add, retire, import, export."),
    ("rules", "ioc.commands.rules", "When a reading is an alarm: list, show, check."),
    ("webhook", "ioc.commands.webhook", "Receive signed webhooks, make keys, send a test."),
    ("grafana", "ioc.commands.grafana", "Boards and alerting in a Grafana that runs elsewhere."),
    ("token", "ioc.commands.token", "Who may use the API: create, list, revoke."),
    ("deploy", "ioc.commands.deploy", "Set a deployment up: secrets, broker users, InfluxDB."),
    ("doctor", "ioc.commands.doctor", "What is missing or wrong, on one screen."),
    ("version", "ioc.commands.version", "The versions of the service and its parts."),
)


def build(wanted: str | None) -> typer.Typer:
    """The command line, with the module of one command imported and the others only named.

    A module has an ``app`` with subcommands, or one function ``run``.
    """
    app = typer.Typer(
        no_args_is_help=True,
        add_completion=False,
        rich_markup_mode=None,
        context_settings={"help_option_names": ["-h", "--help"]},
    )

    @app.callback()
    def root() -> None:
        """Real-time monitoring of a province's digital infrastructure.

        Start with: ioc up    (then open the address it prints)
        """

    for name, module, summary in COMMANDS:
        if name == wanted:
            found = importlib.import_module(module)
            if hasattr(found, "app"):
                app.add_typer(found.app, name=name)
            else:
                app.command(name)(found.run)
        else:
            app.command(name, help=summary)(_not_imported)
    return app


def _not_imported() -> None:
    """Stands for a command in the table of contents; never called."""


def main(argv: list[str] | None = None) -> Any:
    """Run one command. Errors raised on purpose become one line and exit code 1, or 2 for usage."""
    words = sys.argv[1:] if argv is None else argv
    names = {name for name, _, _ in COMMANDS}
    wanted = next((word for word in words if word in names), None)
    try:
        return build(wanted)(args=words, prog_name="ioc")
    except IocError as error:
        for line in str(error).splitlines():
            sys.stderr.write(f"ioc: {line}\n")
        sys.exit(1)


if __name__ == "__main__":
    main()
