# The image of every role: `serve` unless another command is given. Two stages: what installs is left behind.
ARG BASE_IMAGE=python:3.13-slim

FROM ${BASE_IMAGE} AS build
WORKDIR /build
# Without pip of its own: nothing in the image installs anything.
RUN python -m venv --without-pip /opt/collector
COPY requirements.txt ./
RUN --mount=type=cache,target=/root/.cache/pip \
    pip --disable-pip-version-check --python /opt/collector/bin/python install --require-hashes -r requirements.txt
COPY pyproject.toml README.md LICENSE ./
COPY app app
# flit-core has built the package and is of no more use; nor are the C sources and tests that libraries bring.
RUN pip --disable-pip-version-check --python /opt/collector/bin/python install --no-build-isolation --no-deps . \
 && pip --disable-pip-version-check --python /opt/collector/bin/python uninstall --yes flit-core

FROM ${BASE_IMAGE}
ARG VERSION
ARG REVISION
LABEL org.opencontainers.image.title="collector" \
      org.opencontainers.image.description="Collects events over HTTP and answers with a receipt that stays true." \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
COPY --from=build /opt/collector /opt/collector
# A new volume takes its owner from here.
RUN install --directory --owner=10001 --group=10001 /data
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
HEALTHCHECK --interval=10s --timeout=10s --start-period=30s --start-interval=500ms CMD ["collector", "healthcheck"]
ENTRYPOINT ["collector"]
CMD ["serve"]
