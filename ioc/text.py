"""Words that a person reads, in both languages."""

from __future__ import annotations

import string
import unicodedata
from collections.abc import Collection
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

Language = Literal["vi", "en"]


class Text(BaseModel):
    """One short text in Vietnamese and English."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    vi: str = Field(min_length=1, max_length=500)
    en: str = Field(min_length=1, max_length=500)

    def of(self, language: Language) -> str:
        return self.vi if language == "vi" else self.en

    def placeholder_faults(self, allowed: Collection[str]) -> list[str]:
        """What is wrong with the ``{placeholders}`` of a text that is filled in later: a sentence
        each. Only bare names out of ``allowed`` may stand there."""
        expected = ", ".join(f"{{{name}}}" for name in sorted(allowed))
        faults = []
        for language in ("vi", "en"):
            try:
                parts = list(string.Formatter().parse(getattr(self, language)))
            except ValueError as error:
                faults.append(f"{language}: {error}; write a brace twice to mean itself")
                continue
            faults += [
                f"{language}: {{{name}}}: expected one of {expected}, nothing else in the braces"
                for _, name, form, conversion in parts
                if name is not None and (name not in allowed or form or conversion)
            ]
        return faults


def fold(text: str) -> str:
    """Lower case without diacritics: ``Mất điện`` is found by ``mat dien``."""
    spread = unicodedata.normalize("NFD", text.casefold().replace("đ", "d"))
    return "".join(letter for letter in spread if not unicodedata.combining(letter))
