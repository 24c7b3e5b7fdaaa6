"""kerascnn completion."""

from rich.console import Console

from kerascnn import _check
from kerascnn.cli import command as command_line
from kerascnn.cli.command import Command, Values

SHELLS = ("bash", "zsh", "fish")


def run(values: Values, arguments: list[str], console: Console) -> None:
    """kerascnn completion."""
    shell = _check.one_of("the shell", arguments[0], SHELLS)
    commands = command_line.find()
    console.print(_fish(commands) if shell == "fish" else _bash(commands, shell), highlight=False, soft_wrap=True)


def _bash(commands: dict[str, Command], shell: str) -> str:
    """A function for bash, which zsh runs, too."""
    lines = ["autoload -U +X bashcompinit && bashcompinit"] if shell == "zsh" else []
    lines += [
        "_kerascnn() {",
        '  local word="${COMP_WORDS[COMP_CWORD]}" before="${COMP_WORDS[COMP_CWORD-1]}" words=""',
        "  if [ $COMP_CWORD -eq 1 ]; then",
        f'    words="{" ".join(commands)} --help --version"',
        "  else",
        '    case "${COMP_WORDS[1]} $before" in',
    ]
    for name, command in commands.items():
        lines += [f'      "{name} --{flag.name}") words="{" ".join(flag.choices)}" ;;' for flag in command.flags
                  if flag.choices]  # fmt: skip
    lines += ['      *) case "${COMP_WORDS[1]}" in']
    for name, command in commands.items():
        flags = (f"--{flag.name}" for flag in command.flags)
        lines.append(f'        {name}) [[ "$word" == -* ]] && words="{" ".join(flags)} --help" ;;')
    lines += [
        "      esac ;;",
        "    esac",
        "  fi",
        '  COMPREPLY=($(compgen -W "$words" -- "$word"))',
        "}",
        "complete -o default -F _kerascnn kerascnn",  # file names where nothing else fits
    ]
    return "\n".join(lines)


def _fish(commands: dict[str, Command]) -> str:
    lines = []
    for name, command in commands.items():
        lines.append(f"complete -c kerascnn -n __fish_use_subcommand -f -a {name} -d {_quoted(command.summary)}")
        for flag in command.flags:
            value = (
                f" -x -a {_quoted(' '.join(flag.choices))}" if flag.choices else ("" if flag.kind is bool else " -r")
            )
            where = f"-n '__fish_seen_subcommand_from {name}' -l {flag.name}"
            lines.append(f"complete -c kerascnn {where}{value} -d {_quoted(flag.help)}")
    return "\n".join(lines)


def _quoted(text: str) -> str:
    backslash = "\\"
    return "'" + text.replace(backslash, backslash * 2).replace("'", backslash + "'") + "'"


COMMAND = Command(
    "completion",
    "bash|zsh|fish",
    "Prints a script that makes a shell complete commands, flags and their choices.",
    "kerascnn completion bash",
    (),
    run,
    positional=(1, 1),
    note='In bash and zsh: eval "$(kerascnn completion bash)"; in fish: kerascnn completion fish | source.',
)
