"""What an operator is told to run on the host."""

from __future__ import annotations

from typing import Any

import pytest

from agent.core.by_hand import by_hand

COMPOSE = "com.docker.compose."


def own(**changes: Any) -> dict[str, Any]:
    return {
        "Id": "0123456789ab" + "c" * 52,
        "Name": "/agent",
        "Config": {"Env": ["REGISTRATION_TOKEN=secret"], "Labels": {"note": "secret"}},
        "HostConfig": {
            "RestartPolicy": {"Name": "always"},
            "Binds": ["/var/run/docker.sock:/var/run/docker.sock", "my data:/data"],
        },
        **changes,
    }


def test_with_docker_alone() -> None:
    """The old container is put aside and stays until the new one is seen; never do both run at once."""
    assert by_hand(own(), "me/agent:3") == (
        "on the host: docker pull me/agent:3 && docker rename agent agent-old && docker stop agent-old && "
        "docker run -d --name agent --restart always -v /var/run/docker.sock:/var/run/docker.sock "
        "-v 'my data:/data' me/agent:3, with the same -e, --env-file and --label as before in front of the image. "
        "As soon as the new one is online: docker rm agent-old, which the engine could start again beside it. "
        "To go back: docker rm -f agent; docker rename agent-old agent && docker start agent"
    )


def test_further_networks() -> None:
    """Connected to once it is there."""
    text = by_hand(own(NetworkSettings={"Networks": {"a": {}, "b c": {}}}), "me/agent:3")
    assert "me/agent:3 && docker network connect 'b c' agent, with the same" in text


def test_what_else_is_as_before() -> None:
    """What is not said is named."""
    host = {"SecurityOpt": ["seccomp={}"]}
    text = by_hand(own(HostConfig=host), "me/agent:3")
    assert "with the same -e, --env-file, --label and --security-opt seccomp=FILE as before" in text


def test_arguments() -> None:
    """Those that the image has by itself are in there too, so nobody is told to repeat them."""
    text = by_hand(own(Config={"Cmd": ["--token", "secret"]}), "me/agent:3")
    assert "in front of the image, and after it the arguments that were its own. " in text
    assert "secret" not in text


def test_never_a_secret() -> None:
    """Whatever is told goes over the wire and into an event log."""
    assert "secret" not in by_hand(own(), "me/agent:3")


def test_one_that_goes_as_it_stops() -> None:
    """There is nothing to go back to."""
    text = by_hand(own(HostConfig={"AutoRemove": True}), "me/agent:3")
    assert "docker run -d --name agent --rm me/agent:3" in text
    assert text.endswith(
        "The old container is gone as soon as it stops (--rm), and its unnamed volumes with it"
    )


@pytest.mark.parametrize("nasty", ["$(reboot)", "a'b", "x; reboot", "`reboot`"])
def test_words_are_quoted(nasty: str) -> None:
    """Whatever somebody called something, to a shell it is one word."""
    quoted = "'" + nasty.replace("'", "'\"'\"'") + "'"
    assert f"docker pull {quoted} &&" in by_hand(own(), nasty)
    assert f"--user {quoted} " in by_hand(own(Config={"User": nasty}), "me/agent:3")
    labels = {COMPOSE + "project.working_dir": nasty, COMPOSE + "service": nasty}
    text = by_hand(own(Config={"Labels": labels}), "me/agent:3")
    assert f"cd {quoted} && docker compose pull {quoted} && " in text


def test_natively() -> None:
    """There is no container to make."""
    text = by_hand(None, "")
    assert text == "install the new release on the host, as docs/operate/updates.md says"


# --- Compose


def compose(**labels: str) -> str:
    named = {COMPOSE + key.replace("__", "."): value for key, value in labels.items()}
    return by_hand(own(Config={"Labels": named}), "me/agent:3")


def test_with_compose() -> None:
    """That service of that project and no other, from the files that it was made from."""
    text = compose(
        project="mon",
        project__working_dir="/srv/dock mon",
        project__config_files="/srv/dock mon/a.yaml,/srv/dock mon/b.yaml",
        project__environment_file="/srv/x.env",
        service="agent",
    )
    flags = "-p mon --env-file /srv/x.env -f '/srv/dock mon/a.yaml' -f '/srv/dock mon/b.yaml'"
    assert text == (
        "on the host, once the project's files or its environment name the image me/agent:3: "
        f"cd '/srv/dock mon' && docker compose {flags} pull agent && docker compose {flags} up -d agent"
    )


def test_with_compose_in_a_directory_that_is_not_the_files_own() -> None:
    """Relative paths in a file are meant in the project's directory, which Compose would take for the file's."""
    text = compose(project__working_dir="/srv/b", project__config_files="/etc/a.yaml")
    assert "docker compose --project-directory /srv/b -f /etc/a.yaml pull && " in text
    relative = compose(project__working_dir="/srv/b", project__config_files="a.yaml")
    assert "docker compose -f a.yaml pull && " in relative


def test_with_compose_that_read_no_file() -> None:
    """A project may come from standard input."""
    text = compose(project="mon", project__config_files="-", service="agent")
    assert "in the project's directory: docker compose -p mon pull agent && " in text
