"""The settings there are: of the hub and of the installed plugins, field by field, for people to read."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from typing import Any, get_args

from pydantic import BaseModel, SecretBytes, SecretStr
from pydantic.fields import FieldInfo
from pydantic_core import to_jsonable_python

from pegboard.arguments import compact, type_of
from pegboard.hookspecs import ENTRY_POINT_GROUP
from pegboard.loading import OWN_DISTRIBUTIONS, Loaded, Loader, Owner, Quarantined
from pegboard.settings import PREFIX, HubSettings, sections


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting: its key, what it takes, its default as a JSON value, and the variable that overrides it."""

    key: str
    kind: str
    default: Any
    required: bool
    secret: bool
    about: str
    variable: str


@dataclass(frozen=True, slots=True)
class SettingsSection:
    """One section of the file."""

    name: str
    about: str
    settings: list[Setting]
