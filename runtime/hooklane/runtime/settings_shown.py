"""Settings as they may be shown: every secret is the word `set`."""

from collections.abc import Iterator, Mapping
from urllib.parse import unquote, urlsplit

from pydantic import BaseModel, SecretStr

from hooklane.runtime.settings_sections import is_secret_property
from hooklane.schemas.subscription_values import RateLimit
from hooklane.schemas.topics import Delay

SET = "set"


def shown_values(settings: BaseModel) -> Iterator[tuple[str, str, object]]:
    """Section, name and JSON value of every setting, in their order."""
    for section in type(settings).model_fields:
        values = getattr(settings, section)
        for name in type(values).model_fields:
            yield section, name, shown(getattr(values, name))


def shown(value: object) -> object:  # noqa: PLR0911 - one a kind
    """One value as JSON, without what is secret in it."""
    match value:
        case SecretStr() | str() if isinstance(value, SecretStr) or any(_password_of(value)):
            return SET
        case Delay() | RateLimit():
            return value.text
        case BaseModel():
            # What is absent has no limit, and needs no word.
            return {k: shown(v) for k, v in value if v is not None}
        case tuple() | list():
            return [shown(one) for one in value]
        case Mapping():
            return {k: SET if is_secret_property(str(k)) else shown(v) for k, v in value.items()}
        case None | bool() | int() | float():
            return value
        case _:
            return str(value)


def secret_values(settings: BaseModel) -> Iterator[str]:
    """Every secret among the settings, for the log to keep out."""
    for section in type(settings).model_fields:
        values = getattr(settings, section)
        for name in type(values).model_fields:
            yield from _secrets_in(getattr(values, name))


def _secrets_in(value: object) -> Iterator[str]:
    match value:
        case SecretStr():
            text = value.get_secret_value()
            yield text
            yield from _password_of(text)
        case tuple() | list():
            for one in value:
                yield from _secrets_in(one)
        case Mapping():
            yield from (str(v) for k, v in value.items() if is_secret_property(str(k)))
            yield from _secrets_in([v for k, v in value.items() if not is_secret_property(str(k))])
        case str():
            yield from _password_of(value)
        case _:
            return


def _password_of(url: str) -> Iterator[str]:
    """A URL's password by itself, as it is written and as it is meant."""
    try:
        password = urlsplit(url).password
    except ValueError:
        return
    if password:
        yield from {password, unquote(password)}
