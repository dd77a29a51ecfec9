# syntax=docker/dockerfile:1
# One image for web, keeper, worker and beat; docker-compose.yml chooses the command.
# Builds for linux/amd64 and linux/arm64.

FROM python:3.12-slim-bookworm AS python-packages
WORKDIR /build
COPY requirements/base.txt ./
RUN python -m venv /opt/venv \
    && /opt/venv/bin/pip install --no-cache-dir --require-hashes --requirement base.txt

FROM node:24-bookworm-slim AS front-end-packages
WORKDIR /build
COPY package.json package-lock.json .npmr[c] ./
RUN npm ci --ignore-scripts --omit=dev --no-audit --no-fund && mkdir -p node_modules

FROM python:3.12-slim-bookworm
RUN groupadd --gid 10001 dgx \
    && useradd --uid 10001 --gid dgx --home-dir /home/dgx --create-home dgx \
    && install --directory --owner dgx --group dgx --mode 0700 /data
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    DJANGO_SETTINGS_MODULE=dgxsite.settings \
    DGX_DATA_DIR=/data
WORKDIR /app
COPY --from=python-packages /opt/venv /opt/venv
COPY --from=front-end-packages /build/node_modules ./node_modules
COPY . .
# Only collects files: these keys are thrown away with the shell.
RUN DATABASE_URL=postgresql://none/none REDIS_URL=redis://none \
    DGX_SECRET_KEY=build DGX_ENCRYPTION_KEYS=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA= \
    python -c "import django; django.setup(); from dgxsite.up import preparation; \
preparation.collect_static_files()" \
    && python -m compileall -q accounts alerts connections core dgxsite exports jobs metrics notifications projects usage
USER dgx
VOLUME /data
EXPOSE 8000
HEALTHCHECK --interval=15s --timeout=6s --start-period=40s --retries=4 \
    CMD ["python", "-m", "dgxsite.up.health_client"]
CMD ["python", "-m", "uvicorn", "dgxsite.asgi:application", "--host", "0.0.0.0", "--port", "8000", \
     "--http", "dgxsite.http.protocol:BoundedH11", "--timeout-keep-alive", "5", \
     "--lifespan", "off", "--ws", "websockets-sansio", \
     "--ws-per-message-deflate", "false", "--ws-max-size", "65536", "--no-access-log", \
     "--no-server-header", "--log-level", "warning", "--timeout-graceful-shutdown", "2", \
     "--no-proxy-headers"]
