# Workers, beat, migrations and the command line.
#
# An image without accelerator libraries is several times smaller:
#   --build-arg PIP_EXTRA_INDEX_URL=https://download.pytorch.org/whl/cpu
FROM python:3.11-slim

ARG PIP_EXTRA_INDEX_URL
# Arrays come and go: the allocator gives none back to the kernel in between, whose fresh pages cost a sixth of a run.
ENV PYTHONUNBUFFERED=1 PATH=/opt/venv/bin:$PATH MALLOC_MMAP_THRESHOLD_=1073741824 MALLOC_TRIM_THRESHOLD_=4294967296
RUN useradd --uid 10001 --no-create-home alteraser \
 && install -d -o alteraser -g alteraser -m 755 /secrets /snapshots /journal

WORKDIR /src
COPY requirements.lock .
RUN --mount=type=cache,target=/root/.cache/pip python -m venv /opt/venv && pip install -r requirements.lock

COPY pyproject.toml README.md LICENSE ./
COPY alteraser alteraser
COPY ledger ledger
COPY migrations migrations
COPY workers workers
COPY cli cli
RUN pip install --no-deps --no-build-isolation .
COPY docker/first-secrets /usr/local/bin/

WORKDIR /
USER alteraser
CMD ["python", "-m", "workers", "worker"]
