"""The vendor's published package, offline, answering beside ours."""

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

    Two faults are mended, that what is saved may be read again: keys end with the id type as the rules spell it, so that
    the package looks for `u:userID` where it saved `u:userid`, and it writes null for no exposures, which it refuses.
    """

    def __init__(self, units: dict[str, dict[str, Any]]) -> None:
        super().__init__()
        self.units = units

    def load(self, key: str) -> Any:
        return self.units.get(key)

    def save(self, key: str, config_name: str, data: Any) -> None:
        mended = {"undelegated_secondary_exposures": data["undelegated_secondary_exposures"] or []}
        self.units.setdefault(_mended(key), {})[config_name] = {**data, **mended}

    def delete(self, key: str, config_name: str) -> None:
        self.units.get(_mended(key), {}).pop(config_name, None)


def _mended(key: str) -> str:
    unit, _, id_type = key.rpartition(":")
    return f"{unit}:userID" if id_type == "userid" else key


class Oracle:
    """One ruleset, loaded by statsig-python-core."""

    def __init__(self, body: bytes, environment: str | None = None, storage: Storage | None = None) -> None:
        options = core.StatsigOptions(
            data_store=_Store(body),
            disable_network=True,
            disable_all_logging=True,
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
        """Everything about a user, by plain names."""
        return json.loads(self.client.get_client_initialize_response(as_core(user), hash="none", **options))


def as_core(user: dict[str, Any]) -> Any:
    """A user in the vendor's form, from wire names."""
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
