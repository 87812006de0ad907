# The web process: deletion requests in, recommendations out.
#
# An image without accelerator libraries is several times smaller:
#   --build-arg PIP_EXTRA_INDEX_URL=https://download.pytorch.org/whl/cpu
FROM python:3.11-slim

ARG PIP_EXTRA_INDEX_URL
ENV PYTHONUNBUFFERED=1 PATH=/opt/venv/bin:$PATH
RUN useradd --uid 10001 --no-create-home alteraser \
 && install -d -o alteraser -g alteraser -m 755 /secrets /snapshots /journal

WORKDIR /src
COPY requirements.lock .
RUN --mount=type=cache,target=/root/.cache/pip python -m venv /opt/venv && pip install -r requirements.lock

COPY pyproject.toml README.md LICENSE ./
COPY alteraser alteraser
COPY ledger ledger
COPY service service
RUN pip install --no-deps --no-build-isolation .

WORKDIR /
USER alteraser
EXPOSE 8080
CMD ["python", "-m", "service"]
