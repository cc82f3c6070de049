"""What of the wire is proved end to end: each row of the protocol, and the tests that take it to a real engine.

Run as a program it writes docs/reference/protocol-coverage.md.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
TESTS = ROOT / "tests"
FOLDERS = ("integration", "e2e")
PAGE = ROOT / "docs" / "reference" / "protocol-coverage.md"

MARK = "protocol"
"""`@pytest.mark.protocol("list_images", …)` on a test in one of FOLDERS names the rows that it covers."""

ROWS: dict[str, dict[str, str]] = {
    "Commands": {
        "list_containers": "every container, with `RepoDigests`, `StartedAt`, `Env` and the restart policy",
        "list_images": "images with tags, size and who uses them, newest first",
        "remove_image": "by ID, with and without `force`",
        "prune_images": "all unused images; how many, how many bytes",
        "list_networks": "networks with their containers, by name",
        "create_network": "with and without subnet; a name that is taken",
        "delete_network": "built-in, in use, forced, not found",
        "prune_networks": "the names of those removed",
        "list_volumes": "volumes with their containers, by name; never null",
        "delete_volume": "in use, not found",
        "prune_volumes": "named ones too; how many, how many bytes",
        "create_volume": "a volume by name",
        "get_system_info": "the engine, its host, its memory and its cores",
        "unknown command": "answered as such, in the words the server knows",
    },
    "Container operations": {
        "start": "a container is started",
        "stop": "with its timeout",
        "restart": "without a timeout",
        "kill": "at once",
        "rename": "and the name is there",
        "remove": "by force",
        "get_logs": "both streams in the order of time, the newest lines",
        "inspect": "the engine's own object",
        "get_status": "the state in one word",
        "verify_running": "waits for health",
        "pull_image": "from a registry, and one that is not there",
        "create": "a container from the SDK's arguments",
        "operation list_networks": "as an action",
        "operation create_network": "as an action",
        "operation list_volumes": "as an action",
        "operation create_volume": "as an action",
        "validate_ports": "a free port, a taken one",
        "unknown action": "answered as such",
    },
    "Container events": {
        "event start": "with name, image and attributes",
        "event restart": "after its start",
        "event die": "with the exit code",
        "event destroy": "and nothing comes after it",
    },
    "Metrics": {
        "container_stats": "CPU, memory, network and disk of a running container",
        "zero sample": "when a container stops",
        "host stats": "CPU, memory and network of the host",
        "stats socket": "the same samples on the second socket, with the token as its bearer",
    },
    "Container update": {
        "update_container": "acknowledged, carried out, completed once, settings kept",
        "update_progress": "each stage once, in order",
        "update_layer_progress": "layers, overall progress, speed",
        "update_complete": "old and new ID, name",
        "update dependents": "they follow; which one could not is told",
        "update rollback": "the old container is back and nothing else is left",
        "update refused": "at once and with the reason",
        "error": "why an update failed, in the host's event log",
    },
    "Self-update": {
        "self_update": "another release takes over in the same container; another product's image is refused",
        "selfupdate_progress": "each stage once, in order, and how it ended",
    },
    "Compose": {
        "deploy_compose up": "services started, linked and reported",
        "deploy_compose down": "with and without volumes",
        "deploy_compose restart": "down, then up",
        "deploy_compose options": "env files, profiles, a pull with credentials, a wait for health",
        "deploy_progress": "stages in rising order",
        "deploy_complete": "success, partial success, failure",
        "scan_compose_dirs": "files with services, in UTC",
        "read_compose_file": "content and env files; what is refused",
    },
    "Shell": {
        "shell start": "a terminal in a container",
        "shell data": "both directions, in order",
        "shell resize": "before and after it is attached",
        "shell close": "and the process is gone",
        "shell closed": "after a notice",
        "shell error": "a reason of 123 bytes at most",
    },
    "Health checks": {
        "health_check_configs_sync": "at each connect",
        "health_check_config": "one more",
        "health_check_config_remove": "one less",
        "health check options": "method, headers, credentials, redirects followed or not, certificates verified or not",
        "health_check_result": "healthy, unhealthy, unreachable",
    },
}


def covering() -> Iterator[tuple[str, str]]:
    """(row, test as folder/file::name) for each mark, in the order of folders, files and lines."""
    paths = [path for folder in FOLDERS for path in sorted((TESTS / folder).glob("test_*.py"))]
    for path in paths:
        for node in ast.walk(ast.parse(path.read_text("utf-8"), str(path))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                for row in _marked(node):
                    yield row, f"{path.relative_to(TESTS)}::{node.name}"


def _marked(test: ast.FunctionDef | ast.AsyncFunctionDef) -> Iterator[str]:
    for decorator in test.decorator_list:
        match decorator:
            case ast.Call(func=ast.Attribute(attr=attr), args=args) if attr == MARK:
                yield from (arg.value for arg in args if isinstance(arg, ast.Constant))  # type: ignore[misc] # texts


def page() -> str:
    """The page as it has to be now."""
    tests: dict[str, list[str]] = {}
    for row, test in covering():
        tests.setdefault(row, []).append(test)
    lines = [
        "# What of the wire is tested end to end",
        "",
        "Each row goes from the reference server through a real socket, the agent and a real Docker engine, and back.",
        "Generated by `make docs` from the marks on the tests in `tests/integration/` and, with the agent in its",
        "image, `tests/e2e/`.",
    ]
    for title, rows in ROWS.items():
        lines += ["", f"## {title}", "", "| row | what is proved | tests |", "|---|---|---|"]
        for row, what in rows.items():
            names = "<br>".join(f"`{test}`" for test in tests.get(row, ()))
            lines.append(f"| {row} | {what} | {names} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page(), "utf-8")
