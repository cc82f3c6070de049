# The agent as a container image: `docker build -t dockmon-agent .`; `--target slim` leaves Docker Compose out.
#
# Nothing here names an architecture. Where a build cannot reach the Python package index, put a folder `wheels/` into the
# context, as .ci/build-image does. Root public keys for updates in place come from `keys/*.pub` there, if there are any.
ARG BASE_IMAGE=python:3.13-slim-bookworm
ARG COMPOSE_IMAGE=docker/compose-bin:v2.40.3

# ---- the launcher and the release, laid out as the image has them
FROM ${BASE_IMAGE} AS build
RUN python3 -m venv /venv
WORKDIR /src
# pyproject.toml comes along in each, for COPY wants at least one file, and the folders may be missing.
COPY pyproject.toml wheel[s] /src/wheels/
RUN index=; [ -z "$(find wheels -name '*.whl')" ] || index="--no-index --find-links=wheels"; echo "$index" >index \
    && /venv/bin/python -c 'import tomllib; print(*tomllib.load(open("wheels/pyproject.toml", "rb"))["project"]["dependencies"], sep="\n")' >needs \
    && /venv/bin/python -m pip install --quiet --no-cache-dir --no-compile --target=/release/site-packages $index --requirement needs
COPY pyproject.toml key[s]/*.pub /src/keys/
COPY pyproject.toml README.md LICENSE /src/
COPY statecharts /src/statecharts
COPY agent /src/agent
RUN rm -rf /release/site-packages/bin \
    && /venv/bin/python -m pip install --quiet --no-cache-dir --no-compile --no-deps --target=/release/site-packages $(cat index) . \
    && export PYTHONPATH=/release/site-packages PYTHONDONTWRITEBYTECODE=1 \
    && /venv/bin/python -m agent release build /release \
    && /venv/bin/python -m agent release root /layout --release /release --keys keys \
    && printf '#!/bin/sh\nexec python3 -I -S -B /opt/dockmon-agent/launcher "$@"\n' >/layout/dockmon-agent \
    && chmod 0755 /layout/dockmon-agent

# ---- the image without Docker Compose: the server is told that deployments are not available
FROM ${BASE_IMAGE} AS slim
RUN useradd --uid 1000 --user-group --no-create-home --home-dir /data --shell /usr/sbin/nologin agent \
    && install -d -o 1000 -g 1000 -m 0700 /data \
    && install -d -o 1000 -g 1000 -m 0755 /run/dockmon-agent
COPY --from=build /layout /opt/dockmon-agent
RUN ln -s /opt/dockmon-agent/dockmon-agent /usr/local/bin/dockmon-agent
ARG VERSION=dev
ARG COMMIT=unknown
ARG SOURCE=
LABEL org.opencontainers.image.title="DockMon Agent" \
    org.opencontainers.image.version="${VERSION}" \
    org.opencontainers.image.revision="${COMMIT}" \
    org.opencontainers.image.source="${SOURCE}" \
    org.opencontainers.image.licenses="Apache-2.0"
WORKDIR /
# Starts as root to join the group of the Docker socket, and is uid 1000 from then on; --user 1000 --group-add GID does without.
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=60s --timeout=10s --start-period=60s --retries=3 \
    CMD ["python3", "-I", "-S", "-B", "/opt/dockmon-agent/launcher", "health"]
ENTRYPOINT ["python3", "-I", "-S", "-B", "/opt/dockmon-agent/launcher"]

FROM ${COMPOSE_IMAGE} AS compose

# ---- the image
FROM slim AS agent
COPY --from=compose /docker-compose /usr/local/lib/docker/cli-plugins/docker-compose
