"""`collector completion bash|zsh|fish`: what a shell has to read to complete this command. Typer."""

from enum import StrEnum
from typing import Annotated

import typer
from typer.completion import get_completion_script  # type: ignore[attr-defined]  # imported there

from app.about import NAME
from app.cli.exits import Exit

HELP = f"""Print what completes this command in a shell.

bash: source <({NAME} completion bash), in ~/.bashrc. zsh: the same in ~/.zshrc, after compinit."""


class Shell(StrEnum):
    """The shells that there is a script for."""

    BASH = "bash"
    ZSH = "zsh"
    FISH = "fish"


def completion(shell: Annotated[Shell, typer.Argument(metavar="bash|zsh|fish", help="Which shell.")]) -> int:
    """What `collector completion` does."""
    variable = f"_{NAME.replace('-', '_').upper()}_COMPLETE"
    print(get_completion_script(prog_name=NAME, complete_var=variable, shell=shell.value))
    return Exit.DONE
