# The image of every role: `serve` unless another command is given. Two stages: what installs is left behind.
ARG BASE_IMAGE=python:3.13-slim

FROM ${BASE_IMAGE} AS build
RUN apt-get update -qq && apt-get install -y -qq --no-install-recommends binutils
WORKDIR /build
# Without pip of its own: nothing in the image installs anything.
RUN python -m venv --without-pip /opt/collector
COPY requirements.txt ./
# Libraries come with debugging symbols, sources in C's dialects and tests: half of what they weigh.
RUN --mount=type=cache,target=/root/.cache/pip \
    pip --disable-pip-version-check --python /opt/collector/bin/python install --require-hashes -r requirements.txt \
 && find /opt/collector -name '*.so' -exec strip --strip-unneeded {} + \
 && find /opt/collector -type f \( -name '*.pyx' -o -name '*.pxd' -o -name '*.pxi' \) -delete \
 && find /opt/collector -type d \( -name tests -o -name testing \) -prune -exec rm -rf {} +
COPY pyproject.toml README.md LICENSE ./
COPY app app
# flit-core has built the package and is of no more use.
RUN pip --disable-pip-version-check --python /opt/collector/bin/python install --no-build-isolation --no-deps . \
 && pip --disable-pip-version-check --python /opt/collector/bin/python uninstall --yes flit-core

FROM ${BASE_IMAGE}
COPY --from=build /opt/collector /opt/collector
# The base brings its standard library uncompiled, and nobody could write it down later: what is needed of it is
# compiled here, or every start would do so again. No file may make anybody root. A new volume takes its owner
# from /data.
RUN /opt/collector/bin/python -c 'import alembic.command, aiosqlite, asyncpg, app.background, app.healthcheck, app.spool' \
 && find / -xdev -type f -perm /6000 -exec chmod a-s {} + \
 && install --directory --owner=10001 --group=10001 /data
ENV PATH=/opt/collector/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    HOST=0.0.0.0 \
    SQLITE_PATH=/data/collector.db
# A number, since Kubernetes cannot tell of a name whether it is root.
USER 10001:10001
WORKDIR /data
VOLUME /data
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=10s --start-period=30s --start-interval=1s CMD ["collector", "healthcheck"]
ENTRYPOINT ["collector"]
CMD ["serve"]
# At the end, since the revision changes with every commit. `make image` gives them.
ARG VERSION
ARG REVISION
ARG SOURCE
LABEL org.opencontainers.image.title="collector" \
      org.opencontainers.image.description="Collects events over HTTP and answers with a receipt that stays true." \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.source="${SOURCE}" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
