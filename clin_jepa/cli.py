"""The clinjepa command: one verb each for extracting, training and evaluating."""

import json
import sys
from collections.abc import Callable, Sequence

from clin_jepa.errors import InputError
from clin_jepa.quiet import silence_expected_notices
from clin_jepa.shipped_configs import resolve_config_names

# Exit code of a command that was interrupted, as of a shell.
INTERRUPTED = 130


def _extract() -> None:
    from jsonargparse import auto_cli

    if any(word.partition("=")[0] == "--describe" for word in sys.argv):
        from data_pipelines.description.describe import describe

        print(f"page: {auto_cli(describe, as_positional=False, prog='clinjepa extract')}")
        return
    from data_pipelines.extract import extract

    store = auto_cli(extract, as_positional=False, prog="clinjepa extract")
    counts = json.loads((store / "dataset.json").read_text(encoding="utf-8"))["row_counts"]
    print(f"trajectory store: {store} ({counts['stays']['kept']:,} stays, {counts['hours']['kept']:,} hours)")


def _synthesize() -> None:
    from jsonargparse import auto_cli

    from data_pipelines.synthetic.synthesize import synthesize

    print(f"synthetic hospital: {auto_cli(synthesize, as_positional=False, prog='clinjepa synthesize')}")


def _evaluate() -> None:
    from jsonargparse import auto_cli

    from clin_jepa.evaluation.evaluate import evaluate

    auto_cli(evaluate, as_positional=False, prog="clinjepa evaluate")


def _compare() -> None:
    from jsonargparse import ArgumentParser

    from clin_jepa.evaluation.compare import compare

    parser = ArgumentParser(prog="clinjepa compare", description="Hold several evaluated runs side by side.")
    parser.add_argument(
        "runs",
        nargs="+",
        help="Folders of evaluated runs. ARM=FOLDER names the arm that a run is a seed of, by default the folder's name without _seedN.",
    )
    parser.add_function_arguments(compare, as_positional=False, skip={"runs"})
    compare(**parser.parse_args().as_dict())


def _train() -> None:
    from clin_jepa.training_cli import run_training_cli

    run_training_cli()


def _plan() -> None:
    from clin_jepa.planning.planning_cli import run_planning_cli

    run_planning_cli()


# Verb: what it does, how it runs, and whether the runner wants the verb itself among its words.
_VERBS: dict[str, tuple[str, Callable[[], None], bool]] = {
    "synthesize": ("Write a synthetic hospital of any size in MIMIC-IV's layout.", _synthesize, False),
    "extract": ("Turn raw ICU data into a trajectory store; --describe STORE tells what one holds.", _extract, False),
    "fit": ("Train: the whole curriculum, or one phase of it.", _train, True),
    "plan": ("Say what a training run will cost in memory and time, before it runs; options as of fit.", _plan, True),
    "validate": ("Measure a checkpoint on the tuning split.", _train, True),
    "test": ("Measure a checkpoint on the held-out split.", _train, True),
    "predict": ("Write latents and next-hour predictions of the held-out split.", _train, True),
    "evaluate": ("Measure a run: forecasts, geometry, risk tasks, beside baselines; write metrics.json and report.html.", _evaluate, False),
    "compare": ("Hold several evaluated runs side by side, with intervals of paired differences.", _compare, False),
}


def _help() -> str:
    lines = [f"  {verb:<10} {text}" for verb, (text, _, _) in _VERBS.items()]
    return "\n".join(
        [
            "usage: clinjepa VERB [OPTIONS]",
            "",
            "Joint-embedding predictive pretraining on intensive-care trajectories.",
            "",
            "verbs:",
            *lines,
            "",
            "'clinjepa VERB --help' explains a verb's options. Shipped configs (curriculum.yaml, phase1.yaml ... phase5.yaml, sft.yaml,",
            "demo.yaml, encoder/*.yaml) are found by their bare name: clinjepa fit --config curriculum.yaml --data.store STORE --run RUN",
        ]
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command line.

    Args:
        arguments: Its words without the program's name; by default those of the process.

    Returns:
        Exit code: 0 done, 2 if something the user gave does not fit, 130 if interrupted. A training run that a signal ended leaves with
        128 + its number, 143 for SIGTERM.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    if not words or words[0] in ("-h", "--help"):
        print(_help())
        return 0
    if words[0] == "--version":
        from clin_jepa import __version__

        print(f"clinjepa {__version__}")
        return 0
    if words[0] not in _VERBS:
        print(f"clinjepa: unknown verb {words[0]!r}\n\n{_help()}", file=sys.stderr)
        return 2
    _, run, keeps_verb = _VERBS[words[0]]
    before = sys.argv
    # LightningCLI and jsonargparse read the command line from here; passing it along would make LightningCLI warn.
    # The program stays: Lightning starts the processes of further devices by it.
    sys.argv = [before[0], *resolve_config_names(words if keeps_verb else words[1:])]
    silence_expected_notices()
    try:
        run()
    except (InputError, ValueError) as error:
        mistake = _mistake(error)
        if mistake is None:
            raise
        print(f"clinjepa {words[0]}: error: {mistake}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"clinjepa {words[0]}: interrupted", file=sys.stderr)
        return INTERRUPTED
    finally:
        sys.argv = before
    return 0


def _mistake(error: BaseException | None) -> InputError | None:
    """The user's mistake behind an error; jsonargparse wraps what a nested class raises into a ValueError."""
    while error is not None and not isinstance(error, InputError):
        error = error.__cause__ or error.__context__
    return error


if __name__ == "__main__":
    sys.exit(main())
