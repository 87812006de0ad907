# The web process: deletion requests in, recommendations out.
#
#   --build-arg RELEASE=1.2.3       what the image calls itself
#   --build-arg TORCH_INDEX=URL     where the wheels of torch without accelerator libraries come from
#
# The stage of dependencies is the same for service and worker, which share its gigabyte.
FROM python:3.11-slim AS dependencies
ARG ACCELERATOR=cpu
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
WORKDIR /src
COPY requirements.lock docker/install-dependencies ./
RUN ./install-dependencies

FROM dependencies AS product
COPY pyproject.toml README.md LICENSE ./
COPY alteraser alteraser
COPY ledger ledger
COPY service service
RUN /opt/venv/bin/pip wheel --quiet --no-deps --no-build-isolation --wheel-dir /wheel .

FROM dependencies
RUN useradd --uid 10001 --no-create-home alteraser \
 && install -d -o alteraser -g alteraser -m 755 /secrets /snapshots /journal
COPY --from=product /wheel /tmp/wheel
RUN /opt/venv/bin/pip install --quiet --no-deps --no-index /tmp/wheel/*.whl
WORKDIR /
ENV PATH=/opt/venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
USER alteraser
EXPOSE 8080
CMD ["python", "-m", "service"]
ARG RELEASE=unreleased
LABEL org.opencontainers.image.title=alteraser-service org.opencontainers.image.version=$RELEASE
