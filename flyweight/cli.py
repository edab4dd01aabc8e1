"""`flyweight`: the journey from an interaction log to a service under load, one verb a step."""

import importlib

import click

from flyweight.verb import explain_missing

VERBS = {
    "validate": ("log_verbs", "Check an interaction log and say what it holds."),
    "sample": ("log_verbs", "Write a synthetic log with something to learn in it."),
    "download": ("log_verbs", "Fetch a public data set from its home."),
    "split": ("log_verbs", "Cut a log into train, validation and holdout."),
    "train": ("model_verbs", "Learn one rung of the ladder, or all."),
    "export": ("model_verbs", "Turn trained runs into sealed ONNX artifacts."),
    "adopt": ("model_verbs", "Take in an ONNX graph from anywhere."),
    "measure": ("model_verbs", "Measure quality, size and speed of artifacts, side by side."),
    "report": ("report_verbs", "Write the measured ladder as one HTML page."),
    "evaluate": ("model_verbs", "Evaluate any artifact on any log."),
    "promote": ("promotion_verbs", "Let the cheapest artifact that is good enough serve."),
    "rollback": ("promotion_verbs", "Return to the artifact that served before."),
    "diff": ("report_verbs", "Say what differs between two artifacts, and how their answers differ."),
    "materialize": ("serving_verbs", "Fill the feature cache from a log."),
    "serve": ("serving_verbs", "Serve the promoted artifact over HTTP."),
    "ingest": ("event_verbs", "Bring what users did from the streams into the log."),
    "forget": ("event_verbs", "Delete a user's history and events."),
    "hash-key": ("key_verbs", "Make a key for clients, and the hash that the service is given."),
    "ask": ("serving_verbs", "Ask a running service and show the answers with titles."),
    "recommend": ("serving_verbs", "Recommend for many users at once, without the service."),
    "loadtest": ("load_verbs", "Load a running service and hold it against the SLO."),
}


class Journey(click.Group):
    """Lists the verbs in journey order and imports a verb's module only when it is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(VERBS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in VERBS:
            return None
        try:
            module = importlib.import_module(f"flyweight.{VERBS[name][0]}")
        except ModuleNotFoundError as missing:
            raise click.UsageError(explain_missing(missing)) from missing
        return getattr(module, name.replace("-", "_"))

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Verbs, in journey order"):
            formatter.write_dl([(name, purpose) for name, (_, purpose) in VERBS.items()])


@click.command(cls=Journey, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(package_name="flyweight")
def main() -> None:
    """From an interaction log to recommendations over HTTP, measured on the way.

    ARTIFACT is a directory, RUNG:VARIANT (the newest sealed one) or `promoted`. Settings stand in
    flyweight.toml; every verb takes --config FILE and --json FILE.

    Exit codes: 0 yes; 1 the verdict is no; 2 usage or configuration; 3 the run was not valid; 4 internal error.
    """
