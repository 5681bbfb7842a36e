"""What a board is drawn for: a language and a province, with the catalog's words and limits."""

from __future__ import annotations

from dataclasses import dataclass

from ioc.catalog import Catalog, Kind, Metric, load_catalog
from ioc.inventory.province import Province, load_province
from ioc.store.schema import Schema
from ioc.text import Language, Text

LANGUAGES: tuple[Language, ...] = ("vi", "en")
CONSOLE_URL = "http://127.0.0.1:8080"


@dataclass(frozen=True, kw_only=True)
class Setting:
    """``console_url`` is where links to alarms and assets lead. ``map_tiles`` is the address of a
    tile server (``https://…/{z}/{x}/{y}.png``) for the map's background; without one it has none.
    """

    language: Language
    province: Province
    catalog: Catalog
    schema: Schema
    console_url: str = CONSOLE_URL
    map_tiles: str = ""

    def say(self, *, vi: str, en: str) -> str:
        """A text of the board's own, in its language."""
        return Text(vi=vi, en=en).of(self.language)

    def of(self, text: Text) -> str:
        return text.of(self.language)

    def kind(self, kind: str) -> Kind:
        """A kind of the catalog. Raises ``KeyError``."""
        return self.catalog.kinds[kind]

    def metric(self, kind: str, name: str) -> Metric:
        """A metric of the catalog. Raises ``KeyError``."""
        return self.kind(kind).metrics[name]


def settings(
    *, province: str = "khanh-hoa", console_url: str = CONSOLE_URL, map_tiles: str = ""
) -> dict[Language, Setting]:
    """The setting of each language.

    Raises ``FileError`` or ``ConfigError`` for a province or catalog that cannot be read.
    """
    catalog, found = load_catalog(), load_province(province)
    schema = Schema(catalog)
    return {
        language: Setting(
            language=language,
            province=found,
            catalog=catalog,
            schema=schema,
            console_url=console_url.rstrip("/"),
            map_tiles=map_tiles,
        )
        for language in LANGUAGES
    }
