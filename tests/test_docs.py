"""The documentation keeps up: every public name and command is in the README."""

from pathlib import Path

import meshlogs as ml
from meshlogs.cli import main

README = (Path(__file__).parent.parent / "README.md").read_text()


def test_public_names_are_what_they_say():
    for name in ml.__all__:
        assert getattr(ml, name) is not None
        assert f"ml.{name}" in README, f"{name} is not in the README"
    assert set(ml.__all__) <= set(dir(ml))


def test_every_command_is_in_the_readme_and_has_help():
    for name, command in main.commands.items():
        assert f"meshlogs {name}" in README
        assert command.help
        for parameter in command.params:
            if parameter.param_type_name == "option":
                assert parameter.help, f"{name} {parameter.name} has no help"


def test_verdicts_and_outcomes_are_explained():
    from meshlogs.verdicts import RULES

    page = (Path(__file__).parent.parent / "docs/VERDICTS.md").read_text()
    for rule in RULES:
        assert f"`{rule.VERDICT}`" in page
        assert f"`{rule.VERDICT}`" in README
