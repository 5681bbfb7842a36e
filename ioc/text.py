"""Words that a person reads, in both languages."""

from __future__ import annotations

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
