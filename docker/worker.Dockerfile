# Workers, beat, migrations and the command line.
#
#   --build-arg ACCELERATOR=cuda    torch with its CUDA libraries, some gigabytes more
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
COPY migrations migrations
COPY workers workers
COPY cli cli
RUN /opt/venv/bin/pip wheel --quiet --no-deps --no-build-isolation --wheel-dir /wheel .

FROM dependencies
RUN useradd --uid 10001 --no-create-home alteraser \
 && install -d -o alteraser -g alteraser -m 755 /secrets /snapshots /journal
COPY --from=product /wheel /tmp/wheel
RUN /opt/venv/bin/pip install --quiet --no-deps --no-index /tmp/wheel/*.whl
COPY docker/first-secrets docker/metrics-key /usr/local/bin/
RUN install -d -o alteraser -g alteraser -m 755 /metrics-key
# Arrays come and go: the allocator gives none back to the kernel in between, whose fresh pages cost a sixth of a run.
# Threads that wait for each other sleep: spinning, a run of a second takes half a minute where others need the cores.
WORKDIR /
ENV PATH=/opt/venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 \
    MALLOC_MMAP_THRESHOLD_=1073741824 MALLOC_TRIM_THRESHOLD_=4294967296 OMP_WAIT_POLICY=PASSIVE
USER alteraser
CMD ["python", "-m", "workers", "worker"]
ARG RELEASE=unreleased
LABEL org.opencontainers.image.title=alteraser-worker org.opencontainers.image.version=$RELEASE
