"""What every process of a deployment is told: where the truth, the broker and the secrets are."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError, ValidationInfo, field_validator, model_validator
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SecretsSettingsSource,
    SettingsConfigDict,
)

PREFIX = "ALTERASER_"
PROCESS_PREFIXES = ("service_", "worker_")
MOUNTED_SECRETS = Path("/run/secrets")


class SharedSettings(BaseSettings):
    """The settings all processes share, read from `ALTERASER_*` and from files under `/run/secrets`.

    A name that no field has is refused, so that a typing error cannot pass for a setting. Names of
    another process class (`ALTERASER_SERVICE_*`, `ALTERASER_WORKER_*`) are left to that class.
    """

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_ignore_empty=True,
        extra="forbid",
        frozen=True,
        hide_input_in_errors=True,
        use_attribute_docstrings=True,
    )

    database_url: str = Field(repr=False)
    """PostgreSQL 14 or newer, `postgresql://user:password@host/name`. What must not be lost is here."""

    broker_url: str = Field(repr=False)
    """Redis 6.2 or Valkey, `redis://host/0` or `redis+socket:///path`. It carries hints only: losing it
    loses nothing."""

    snapshot_dir: Path
    """Folder of the models' snapshots, shared by workers and replicas. It holds personal data."""

    journal_dir: Path | None = None
    """Folder of the erasure journal, shared by workers and web processes; all of them write it. Unset: the folder
    `journal` beside the snapshots. Keep it on another disk than the database, out of the backups that restore it."""

    secrets_dir: Path
    """Folder with `subject.key` and the receipt keys. Without it nobody can be recognised as erased."""

    replica_timeout_s: float = Field(default=10.0, gt=0)
    """Seconds without a heartbeat after which a replica counts as dead and no longer holds up a deletion.
    A replica cut off for as long serves personal lists to nobody."""

    due_days: int = Field(default=30, ge=1)
    """Days from recording until a request is overdue. GDPR article 12(3) allows one month."""

    callback_private: bool = False
    """Let callbacks go to plain http and to addresses that are not public. With that, whoever may ask for deletions
    can have the workers call any machine they reach: only where those who ask are trusted."""

    demo_mode: bool = False
    """Open the ops pages and the metrics without a key. Never on a machine that others can reach."""

    crash_at: str | None = None
    """For tests of faults only: a point of `alteraser/crash.py` at which this process ends itself, such as
    `publish.inside`. Unset, as it must be in production: no point does anything."""

    home: Path | None = None
    """Folder of the embedded database, broker, secrets and snapshots. Unset where these are real services."""

    data_dir: Path | None = None
    """Folder with the public datasets that demo, tests and benchmarks read. Unset: the demo downloads or
    makes data."""

    @property
    def journal_folder(self) -> Path:
        """Where the erasure journal is."""
        return self.journal_dir or self.snapshot_dir.parent / "journal"

    @model_validator(mode="before")
    @classmethod
    def _refuse_unknown_names(cls, values: Any) -> Any:
        unknown = sorted(name for name in os.environ if cls._is_unknown(name))
        if unknown:
            raise ValueError(f"unknown settings: {', '.join(unknown)}")
        return values

    @field_validator("database_url")
    @classmethod
    def _names_postgres(cls, url: str, info: ValidationInfo) -> str:
        if not url.startswith(("postgresql://", "postgresql+psycopg://")):
            raise ValueError(f"{PREFIX}{str(info.field_name).upper()} must start with postgresql://")
        return url

    @field_validator("broker_url")
    @classmethod
    def _names_redis(cls, url: str, info: ValidationInfo) -> str:
        if not url.startswith(("redis://", "rediss://", "redis+socket://")):
            raise ValueError(
                f"{PREFIX}{str(info.field_name).upper()} must start with redis://, rediss:// or redis+socket://"
            )
        return url

    @classmethod
    def _is_unknown(cls, variable: str) -> bool:
        name = variable.lower()
        if not name.startswith(PREFIX.lower()):
            return False
        field = name.removeprefix(PREFIX.lower())
        return field not in cls.model_fields and not cls._is_anothers(field)

    @classmethod
    def _is_anothers(cls, field: str) -> bool:
        mine = {prefix for prefix in PROCESS_PREFIXES if any(name.startswith(prefix) for name in cls.model_fields)}
        return field.startswith(tuple(set(PROCESS_PREFIXES) - mine))

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Read mounted secrets too: an argument wins over a variable, a variable over a file."""
        del dotenv_settings, file_secret_settings
        if not MOUNTED_SECRETS.is_dir():
            return init_settings, env_settings
        return init_settings, env_settings, SecretsSettingsSource(settings_cls, secrets_dir=MOUNTED_SECRETS)


def faults(error: ValidationError) -> str:
    """What is wrong with the settings, by variable and without their values: some are secret."""
    found = [(".".join(map(str, fault["loc"])), fault["msg"]) for fault in error.errors(include_input=False)]
    return "; ".join(f"{PREFIX}{field.upper()}: {message}" if field else message for field, message in found)
