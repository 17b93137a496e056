"""The vendor's published package, offline, as the oracle of our evaluations."""

import json
from typing import Any

import statsig_python_core as core
from statsig_python_core.data_store import DataStore, DataStoreResponse
from statsig_python_core.persistent_storage import PersistentStorage

_SETTLE = 30


class _Store(DataStore):
    """A data store that holds one ruleset."""

    def __init__(self, body: bytes) -> None:
        super().__init__()
        self.text = body.decode()

    def get(self, key: str) -> DataStoreResponse | None:
        return DataStoreResponse(self.text, 1) if "download_config_specs" in key else None


class Storage(PersistentStorage):
    """Sticky assignments in a dict, by unit, then by name.

    Works around two bugs of the package, which cannot read some of what it saves: it saves under the id type as the
    rules spell it (`u:userid`) but loads `u:userID`, and it writes null for no exposures but rejects null.
    """

    def __init__(self, units: dict[str, dict[str, Any]]) -> None:
        super().__init__()
        self.units = units

    def load(self, key: str) -> Any:
        return self.units.get(key)

    def save(self, key: str, config_name: str, data: Any) -> None:
        fixed = {"undelegated_secondary_exposures": data["undelegated_secondary_exposures"] or []}
        self.units.setdefault(_fixed_key(key), {})[config_name] = {**data, **fixed}

    def delete(self, key: str, config_name: str) -> None:
        self.units.get(_fixed_key(key), {}).pop(config_name, None)


def _fixed_key(key: str) -> str:
    unit, _, id_type = key.rpartition(":")
    return f"{unit}:userID" if id_type == "userid" else key


class Oracle:
    """One ruleset, loaded by statsig-python-core."""

    def __init__(self, body: bytes, environment: str | None = None, storage: Storage | None = None) -> None:
        options = core.StatsigOptions(
            data_store=_Store(body),
            disable_network=True,
            disable_all_logging=True,
            output_log_level="none",
            environment=environment,
            persistent_storage=storage,
            wait_for_country_lookup_init=True,
            wait_for_user_agent_init=True,
        )
        self.client = core.Statsig("secret-oracle", options)
        details = self.client.initialize_with_details().result(_SETTLE)
        assert details.is_config_spec_ready, details

    def close(self) -> None:
        self.client.shutdown().wait(_SETTLE)

    def response(self, user: dict[str, Any], **options: Any) -> dict[str, Any]:
        """Return the client-initialize response for a user, with names that are not hashed."""
        return json.loads(self.client.get_client_initialize_response(as_core(user), hash="none", **options))


def as_core(user: dict[str, Any]) -> Any:
    """Return a user of the package, from wire names."""
    names = {
        "userID": "user_id",
        "userAgent": "user_agent",
        "appVersion": "app_version",
        "customIDs": "custom_ids",
        "privateAttributes": "private_attributes",
        "statsigEnvironment": "statsig_environment",
    }
    fields = {names.get(key, key): value for key, value in user.items()}
    return core.StatsigUser(**{"user_id": "", **fields})
