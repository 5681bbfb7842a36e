"""What people read of an alarm that the equipment reported."""

from __future__ import annotations

import pytest

from ioc.alarms.words import device_words
from ioc.journal.records import DeviceAlarm


@pytest.mark.parametrize(
    ("cause", "text", "text_vi", "vi", "en"),
    [
        ("lossOfSignal", "LOS port 3", "", "Mất tín hiệu (LOS port 3)", "LOS port 3"),
        ("lossOfSignal", "Đứt quang", "", "Đứt quang", "Đứt quang"),
        ("lossOfSignal", "", "", "Mất tín hiệu", "lossOfSignal"),
        ("lossOfSignal", "LOS", "Mất quang cổng 3", "Mất quang cổng 3", "LOS"),
        ("payloadTypeMismatch", "PLM", "", "PLM", "PLM"),
        ("payloadTypeMismatch", "", "", "payloadTypeMismatch", "payloadTypeMismatch"),
        ("fire", "x" * 500, "", f"Cháy ({'x' * 494}", "x" * 500),
    ],
)
def test_the_equipments_words(cause: str, text: str, text_vi: str, vi: str, en: str) -> None:
    item = DeviceAlarm(
        *("bts", "K1", 1, 1, "7", "raised", "major", "equipment", cause, "", text), text_vi=text_vi
    )
    words = device_words(item)
    assert (words.vi, words.en) == (vi, en)
