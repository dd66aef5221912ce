"""`pegboard tools`: how each tool is called."""

import json
from pathlib import Path

from tests.hub.cli.conftest import Run


def test_tools_are_listed_by_signature_and_first_sentence(run: Run, tea: Path) -> None:
    result = run("tools", "--plugin", "tea", "--config", str(tea))

    brew, brewed, spill, spilt = result.stdout.splitlines()
    assert brew.startswith("tea_brew(cups: integer, strong?: boolean")
    assert brew.endswith("  read-only")
    assert brewed == "    Brew some tea."
    assert (spill, spilt) == ("tea_spill(how?: string)  read-only", "    Spill the tea.")


def test_what_is_wanted_and_not_served_is_said(run: Run) -> None:
    result = run("tools", env={"PEGBOARD_POSTGRES_DSN": "nonsense"})

    assert result.stderr == "not served: postgres; `pegboard plugins` says why\n"


def test_everything_that_is_served_leaves_nothing_to_say_about_the_rest(run: Run) -> None:
    result = run("tools", env={"PEGBOARD_POSTGRES_DSN": "postgresql://reader:secret@localhost/x"})

    assert "postgres_query(" in result.stdout
    assert result.stderr == ""


def test_schemas_are_shown_on_demand(run: Run, tea: Path) -> None:
    result = run("tools", "--endpoint", "tea", "--schema", "--config", str(tea))

    assert "Nobody wants this." in result.stdout
    assert '"description": "How many."' in result.stdout


def test_programs_get_tools_as_json(run: Run, tea: Path) -> None:
    short = json.loads(run("tools", "--json", "--endpoint", "tea", "--config", str(tea)).stdout)
    long = json.loads(run("tools", "--json", "--endpoint", "tea", "--schema", "--config", str(tea)).stdout)

    assert [tool["name"] for tool in short] == ["tea_brew", "tea_spill"]
    assert short[0]["read_only"]
    assert "input_schema" not in short[0]
    assert long[0]["input_schema"]["required"] == ["cups"]
    assert long[1]["output_schema"] is None


def test_a_plugin_or_endpoint_that_is_not_there_is_answered_with_the_nearest(run: Run, tea: Path) -> None:
    plugin = run("tools", "--plugin", "tee", "--config", str(tea))
    endpoint = run("tools", "--endpoint", "xyzzy", "--config", str(tea))

    assert (plugin.exit_code, endpoint.exit_code) == (2, 2)
    assert "did you mean 'tea'?" in plugin.stderr
    assert "there are all, awx, hub, neo4j, qdrant, tea" in endpoint.stderr
